import hashlib
import re
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.knowledge import Article, Library, label_of, name_pattern, plain, read_article, read_library
from assistant.settings import ROOT
from assistant.types import Passage, SpotterError

WORDS_OF_THE_CUSTOMERS_ARTICLE = "4b9240f8cba3bcd2d94d59e8eef96bd1e5fbff55d26f3e98c735e37b98ffb7ff"

MARKDOWN = """# Toe Taps: A Quick Guide

*By Kim 4 min read*

Toe taps, also known as step taps, are a light drill. They warm you up.

## Muscles Worked

Several muscles share the work:

- Primary:
  - Calves (Soleus): Lift the heel.
  - Quads: Lift the knee.
- Core: Keeps you tall.

## How to Do Toe Taps

1. Stance: Stand tall. Look ahead.
2. Tap the step.

## Frequently Asked Questions

### Are they hard?

No. Start slowly.
"""
RAW = """Drills

Toe Taps: A Quick Guide

By Kim 4 min read

Toe taps, also known as step taps, are a light drill. They warm you up.

Muscles Worked

Several muscles share the work:

  • Primary:
    • Calves (Soleus): Lift the heel.
    • Quads: Lift the knee.
  • Core: Keeps you tall.

How to Do Toe Taps

  1. Stance: Stand tall. Look ahead.
  2. Tap the step.

Frequently Asked Questions

Are they hard?

No. Start slowly.
"""
TITLE = "Toe Taps: A Quick Guide"
MUSCLES, STEPS, FAQ = "Muscles Worked", "How to Do Toe Taps", "Frequently Asked Questions"
EXPECTED = [
    ("byline", (TITLE,), (), "", "By Kim 4 min read", 0),
    ("sentence", (TITLE,), (), "", "Toe taps, also known as step taps, are a light drill.", 0),
    ("sentence", (TITLE,), (), "", "They warm you up.", 0),
    ("lead", (MUSCLES,), (), "", "Several muscles share the work:", 0),
    ("bullet", (MUSCLES,), ("Primary",), "Calves (Soleus)", "Calves (Soleus): Lift the heel.", 0),
    ("bullet", (MUSCLES,), ("Primary",), "Quads", "Quads: Lift the knee.", 0),
    ("bullet", (MUSCLES,), (), "Core", "Core: Keeps you tall.", 0),
    ("step", (STEPS,), (), "Stance", "Stance: Stand tall. Look ahead.", 1),
    ("step", (STEPS,), (), "", "Tap the step.", 2),
    ("faq", (FAQ, "Are they hard?"), (), "Are they hard?", "No. Start slowly.", 0),
]


def shape(article: Article) -> list[tuple[str, tuple[str, ...], tuple[str, ...], str, str, int]]:
    return [(p.kind, p.section, p.parents, p.label, p.text, p.number) for p in article.passages]


def texts(markdown: str) -> list[str]:
    return [passage.text for passage in read_article(markdown, "x").passages]


def assert_exact(article: Article) -> None:
    for passage in article.passages:
        quote = article.text[passage.start : passage.end]
        assert quote == quote.strip() != ""
        if passage.kind != "row":
            assert plain(quote) == passage.text


def test_the_article_has_the_customers_words_in_their_order() -> None:
    text = (ROOT / "knowledge" / "articles" / "heel-kicks.md").read_text(encoding="utf-8")
    words = "\n".join(re.findall(r"\w+", text))
    assert hashlib.sha256(words.encode()).hexdigest() == WORDS_OF_THE_CUSTOMERS_ARTICLE


@pytest.mark.parametrize(
    "path",
    [*(ROOT / "knowledge" / "articles").iterdir(), *(ROOT / "evals" / "articles").iterdir()],
    ids=lambda path: path.name,
)
def test_every_passage_is_an_exact_slice(path: Path) -> None:
    assert_exact(read_article(path.read_text(encoding="utf-8"), path.stem))


@pytest.mark.parametrize("text", [MARKDOWN, RAW], ids=["markdown", "raw"])
def test_both_layouts_give_the_same_passages(text: str) -> None:
    article = read_article(text, "toe-taps")
    assert shape(article) == EXPECTED
    assert (article.title, article.exercise, article.aliases) == (TITLE, "Toe Taps", ("step taps",))
    assert_exact(article)
    groups = [passage.group for passage in article.passages]
    assert groups[3] == groups[4] == groups[6] != groups[7]


def test_a_table_row_reads_with_its_header() -> None:
    article = read_article("# Plank\n\n## Levels\n\n| Level | Holds |\n|:--|--:|\n| **New** | 3 |\n", "plank")
    assert [(p.kind, p.label, p.text, article.text[p.start : p.end]) for p in article.passages] == [
        ("header", "", "Level | Holds", "Level | Holds"),
        ("row", "New", "Level: New; Holds: 3", "**New** | 3"),
    ]


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("---\ntitle: Plank\n---\n\nHold still now.\n", ["Hold still now."]),
        ("Plank\n=====\n\nHow to\n------\n\nHold still.\n", ["Hold still."]),
        ("\ufeff# Plank\n\nHold still.\n", ["Hold still."]),
        ("# Plank\n\n> Hold still,\n> she says.\n", ["Hold still, she says."]),
        ("# Plank\n\n<!-- a note -->\n\nHold still.\n", ["Hold still."]),
        ("# Plank\n\n- One.\n\n  More of one.\n- Two.\n", ["One.", "More of one.", "Two."]),
        ("# Plank\n\n- One that\n  goes on.\n", ["One that goes on."]),
        ("# Plank\n\nHold *very* still at 90°, “please”.\n", ["Hold very still at 90°, “please”."]),
        ("# Plank\n\nEasier:\n\n- Knees down.\n", ["Knees down."]),
        ("# Plank\n\nSee [this page](https://example.org) first.\n", ["See this page first."]),
        ("# Plank\r\n\r\nHold\r\nstill.\r\n", ["Hold still."]),
        ("# Plank\r\rHold still.\r", ["Hold still."]),
        (
            "# Plank\n\n**Stop at once. Now rest well.** Then go on.\n",
            ["Stop at once.", "Now rest well.", "Then go on."],
        ),
        ("# Plank\n\nUse `a_name*` here.\n", ["Use a_name here."]),
        ("# Plank\n\nHold<br>still <b>now</b><!-- a note -->.\n", ["Hold still now."]),
        ("# Plank\n\n![](plank.png)\n\n***\n\n- 🙂\n\nHold still.\n", ["Hold still."]),
        ("# Plank\n\n    Hold still, indented.\n", ["Hold still, indented."]),
        ("# Plank\n\n• Hold still.\n• Breathe.\n", ["Hold still.", "Breathe."]),
        ("# Plank\n\n> - Hold\n>   still.\n", ["Hold still."]),
        ("# Plank\n\n---\n\nHold still.\n\n---\n", ["Hold still."]),
    ],
)
def test_markdown_reads_as_it_is_meant(markdown: str, expected: list[str]) -> None:
    assert texts(markdown) == expected


def test_headings_of_every_form_make_the_sections() -> None:
    text = "# Plank\n\n> ## Why\n>\n> It helps.\n\n##\n\n### How ###\n\nHold still.\n\nWhere\n  ---\n\nAt home.\n"
    assert [passage.section for passage in read_article(text, "x").passages] == [("Why",), ("Why", "How"), ("Where",)]


def test_an_empty_cell_keeps_the_others_under_their_headers() -> None:
    text = "# Plank\n\n## Levels\n\n| | New | Old |\n|--|--|--|\n| Sets | 2 | |\n| | 1 | 3 \\| 4 |\n| | | |\n"
    assert [(p.kind, p.label, p.text) for p in read_article(text, "plank").passages] == [
        ("header", "", "| New | Old"),
        ("row", "Sets", "Sets; New: 2"),
        ("row", "", "New: 1; Old: 3 | 4"),
    ]


def test_nested_items_and_paragraphs_know_the_items_above_them() -> None:
    text = """# Plank

- Arms: Bend them.
  - Elbows
    - Left one first, please.

  Both arms rest.

Done.
"""
    assert [(p.text, p.parents) for p in read_article(text, "plank").passages] == [
        ("Arms: Bend them.", ()),
        ("Left one first, please.", ("Arms", "Elbows")),
        ("Both arms rest.", ("Arms",)),
        ("Done.", ()),
    ]


def test_raw_items_may_be_wrapped_and_stand_apart() -> None:
    text = "Plank\n\nDo all of this now:\n\n• Hold\n  still.\n\n• Breathe.\n\n1. Lift the\nhips.\n\n2. Rest.\n\nDone.\n"
    passages = read_article(text, "plank").passages
    assert [(p.kind, p.text, p.number) for p in passages] == [
        ("lead", "Do all of this now:", 0),
        ("bullet", "Hold still.", 0),
        ("bullet", "Breathe.", 0),
        ("step", "Lift the hips.", 1),
        ("step", "Rest.", 2),
        ("sentence", "Done.", 0),
    ]
    groups = [passage.group for passage in passages]
    assert groups[0] == groups[1] == groups[2] != groups[3] == groups[4]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("By Hart 6 min read", "byline"),
        ("By Jane Doe, Ph.D.", "byline"),
        ("Written by Zoë Ångström", "byline"),
        ("Reading time: 5 minutes", "byline"),
        ("By practicing daily, you improve.", "sentence"),
        ("By Friday you rest.", "sentence"),
        ("Difficulty: easy", "sentence"),
    ],
)
def test_only_a_byline_is_a_byline(line: str, kind: str) -> None:
    assert [p.kind for p in read_article(f"# Plank\n\n{line}\n", "plank").passages] == [kind]


def test_the_front_matter_names_an_article_that_has_no_title() -> None:
    text = '\ufeff---\ntitle: "Plank"\ntags: [core]\n---\nHold still.\n'
    article = read_article(text, "page-1")
    assert (article.title, article.text) == ("Plank", text)
    assert [text[p.start : p.end] for p in article.passages] == ["Hold still."]
    assert read_article("Hold still.", "-").names == ("-",)


def test_a_short_lead_says_what_its_items_are() -> None:
    passages = read_article("# Plank\n\nEasier:\n\n- Knees down.\n", "x").passages
    assert passages[0].parents == ("Easier",)


def test_a_sentence_of_one_or_two_words_is_cited_with_the_next() -> None:
    text = "# Hop\n\nExplosive power. Every rep trains the calves. Land softly on both feet. Again!\n"
    assert [p.text for p in read_article(text, "hop").passages] == [
        "Explosive power. Every rep trains the calves.",
        "Land softly on both feet. Again!",
    ]


def test_a_bullet_of_more_than_eighty_words_is_cited_by_sentences() -> None:
    long = " ".join(["word"] * 50)
    assert len(texts(f"# Plank\n\n- First {long}. Second {long}.\n")) == 2


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("Landing Heavily: Too loud.", "Landing Heavily"),
        ("**Landing:** Too loud.", "Landing"),
        ("**Skiers** who need thighs.", "Skiers"),
        ("Calves (Gastrocnemius, Soleus): Push.", "Calves (Gastrocnemius, Soleus)"),
        ("Athletes (e.g. runners): Kick.", "Athletes (e.g. runners)"),
        ("No label. Just this: that.", ""),
        ("Ends in a colon:", ""),
    ],
)
def test_the_opening_of_a_line_is_its_label(line: str, label: str) -> None:
    assert label_of(line)[0] == label


@pytest.mark.parametrize(
    ("title", "exercise"),
    [
        ("Heel Kicks: How to Do Them", "Heel Kicks"),
        ("How to Do a Wall Sit Correctly", "Wall Sit"),
        ("The Complete Guide to the Glute Bridge", "Glute Bridge"),
        ("What Are A-Skips?", "A-Skips"),
        ("Forearm Plank", "Forearm Plank"),
    ],
)
def test_the_exercise_is_what_the_title_is_about(title: str, exercise: str) -> None:
    assert read_article(f"# {title}\n\nA line to cite.\n", "x").exercise == exercise


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Lunges", "a lunge"),
        ("Push-Ups", "one pushup"),
        ("Glute Bridges", "a glute bridge"),
        ("Chest Press", "chest presses"),
        ("Chest Presses", "chest press"),
        ("Dumbbell Fly", "dumbbell flies"),
    ],
)
def test_a_name_is_found_in_the_singular_and_the_plural(name: str, found: str) -> None:
    assert name_pattern((name,)).search(found)
    assert not name_pattern(("Lunges",)).search("my lungs, a lung")


@pytest.mark.parametrize(
    ("sentence", "aliases"),
    [
        ("Planks, also known as front holds, are hard.", ("front holds",)),
        ("A plank (often referred to as the hover or “bridge hold”) is hard.", ("hover", "bridge hold")),
        ("The plank is sometimes called a hover and is hard.", ("hover",)),
        ("Squats, also known as knee bends, are not.", ()),
    ],
)
def test_the_other_names_are_those_that_the_article_gives(sentence: str, aliases: tuple[str, ...]) -> None:
    assert read_article(f"# Plank\n\n{sentence}\n", "x").aliases == aliases


def test_a_name_is_found_however_it_is_spaced() -> None:
    pattern = name_pattern(("Heel Kicks",))
    assert [bool(pattern.search(text)) for text in ("heel-kick", "HEELKICKS", "heel kick?", "heels kick")] == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "heading",
    [
        "FAQ",
        "FAQs",
        "Frequently Asked Questions",
        "Q&A",
        "Common Questions",
        "Frequently asked questions (FAQ)",
        "The FAQ",
        "**FAQs**:",
        "Q &amp; A",
        "Plank Q&A",
        "Plank: Frequently Asked Questions",
        "Common Questions About Planks",
    ],
)
@pytest.mark.parametrize("level", ["#", "##", "####"])
def test_an_faq_of_any_name_and_level_is_held_out_with_all_below_it(heading: str, level: str) -> None:
    text = (
        f"# Plank\n\n## How to\n\nHold still.\n\n{level} {heading}\n\n{level}# Hard?\n\nNo, never.\n\n- Not at all.\n"
        f"\n{level} Conclusion\n\nGo on.\n"
    )
    library = Library((read_article(text, "plank"),))
    assert [passage.text for passage in library.without_faq().passages] == ["Hold still.", "Go on."]
    assert library.without_faq().by_stem["plank"].text == text


def test_an_article_that_is_all_faq_is_held_out_whole() -> None:
    library = Library((read_article("# FAQ\n\nAsk us.\n\n## Hard?\n\nNo, never.\n", "x"),))
    assert [passage.kind for passage in library.passages] == ["faq", "faq"]
    assert library.without_faq().passages == ()


@pytest.mark.parametrize(
    "heading", ["Common Mistakes", "Questions to Ask a Coach", "Facts", "Who Should Ask?", "Q-Angle"]
)
def test_no_other_section_is_held_out(heading: str) -> None:
    library = Library((read_article(f"# Plank\n\n## {heading}\n\nHold still.\n", "plank"),))
    assert library.without_faq() == library


@pytest.mark.parametrize(
    "body",
    [
        "### Is it hard?\n\nNo.\n",
        "**Is it hard?** No.\n",
        "**Is it hard?**\n\nNo.\n",
        "Is it hard?\n\nNo.\n",
        "Q: Is it hard?\nA: No.\n",
        "**Q1. Is it hard?**\n\nA: No.\n",
        "Is it hard?\n\nNo.\n\n### Is it fun?\n\nA: Sure.\n",
    ],
)
def test_an_faq_answer_is_labelled_with_its_question_however_it_is_set(body: str) -> None:
    passage = read_article(f"# Plank\n\n## FAQ\n\n{body}", "plank").passages[0]
    assert (passage.kind, passage.label, passage.text) == ("faq", "Is it hard?", "No.")


def test_a_list_that_answers_a_question_has_it_for_a_parent() -> None:
    passages = read_article("# Plank\n\n## FAQ\n\n**Which muscles?**\n\n- Abs\n- Hips\n", "plank").passages
    assert [(p.text, p.parents) for p in passages] == [("Abs", ("Which muscles?",)), ("Hips", ("Which muscles?",))]


def test_what_cannot_be_read_is_named_and_the_others_are_used(tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text(MARKDOWN)
    (tmp_path / "crlf.txt").write_bytes(RAW.replace("\n", "\r\n").encode())
    (tmp_path / "latin.md").write_bytes("# Café\n\nOne line.\n".encode("latin-1"))
    (tmp_path / "nul.md").write_bytes(b"# A\n\nB\0C\n")
    (tmp_path / "empty.md").write_text("")
    (tmp_path / "old" / ".git").mkdir(parents=True)
    (tmp_path / "old" / "page.rtf").write_bytes(b"%PDF")
    (tmp_path / "old" / ".git" / "good.md").write_text(MARKDOWN)
    (tmp_path / "twin.md").write_text(MARKDOWN)
    (tmp_path / "twin.txt").write_text(RAW)
    (tmp_path / ".hidden").write_text("")
    library = read_library(tmp_path)
    assert sorted(library.by_stem) == ["crlf", "good"]
    assert shape(library.by_stem["crlf"]) == EXPECTED
    assert sorted(library.problems) == [
        "empty.md: it holds no sentence, bullet, step or table row to cite",
        "latin.md: not UTF-8 text (invalid continuation byte at byte 5); save it as UTF-8",
        "nul.md: not text: it holds NUL bytes",
        "old/page.rtf: not an article: Spotter reads .md, .txt, .html, .htm, .docx, .pdf files",
        "twin.md and twin.txt: two articles of the same name cannot be told apart in citations; rename one",
    ]


def test_no_article_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SpotterError, match=r"No articles in .*\. Add a \.md or \.txt file or pass --articles"):
        read_library(tmp_path)
    with pytest.raises(SpotterError, match=r"There is no folder .*none\. Make it"):
        read_library(tmp_path / "none")


LINES = st.sampled_from(
    ["", "# Title", "## Part", "- a bullet: so", "  - nested", "1. step one.", "| a | b |", "|---|---|", "café – 90°",
     "• raw bullet", "    code", "> quoted", "***", "Heading Like", "By Kim 3 min", "```", "-", "So? Yes.", "\ufeff",
     "## FAQ", "**What?**", "Q: Who?", "A: You.", "> - q", "> ## H", "===", "| | x |", "<b>", "**Cut. here** on"]
)  # fmt: skip


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.lists(LINES | st.text(max_size=20), max_size=14), st.sampled_from(["\n", "\n\n", "\r\n"]))
def test_whatever_the_text_is_passages_are_slices_of_it_in_order(lines: list[str], line_end: str) -> None:
    try:
        article = read_article(line_end.join(lines), "x")
    except SpotterError:
        return
    assert_exact(article)
    spans = [(passage.start, passage.end) for passage in article.passages]
    assert all(0 <= start < end <= len(article.text) for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert all(passage.text.strip() and all(passage.section) for passage in article.passages)


def test_a_passage_knows_its_place() -> None:
    article = read_article(MARKDOWN, "toe-taps")
    step = article.passages[7]
    start = MARKDOWN.index("Stance")
    assert step == Passage(
        "toe-taps", (STEPS,), "step", "Stance", "Stance: Stand tall. Look ahead.", start, start + 31, (), step.group, 1
    )


def test_html_word_and_pdf_files_are_articles_too(tmp_path: Path) -> None:
    (tmp_path / "wall-sit.html").write_text(
        "<h1>Wall Sit</h1><h2>Form</h2><ol><li>Slide down to <b>90</b> degrees.</li></ol>"
        "<table><tr><th>Level</th><th>Hold</th></tr><tr><td>Newcomer</td><td>20 s</td></tr></table>"
    )
    (tmp_path / "side-lunge.docx").write_bytes(word_file("Side Lunge", "Step out wide. Sit the hips back."))
    (tmp_path / "calf-raise.pdf").write_bytes(pdf_file("Rise onto the toes for two seconds."))
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 and no more")
    library = read_library(tmp_path)
    texts = {article.stem: [(p.kind, p.text) for p in article.passages] for article in library.articles}
    assert texts == {
        "wall-sit": [
            ("step", "Slide down to 90 degrees."),
            ("header", "Level | Hold"),
            ("row", "Level: Newcomer; Hold: 20 s"),
        ],
        "side-lunge": [("sentence", "Step out wide."), ("sentence", "Sit the hips back.")],
        "calf-raise": [("sentence", "Rise onto the toes for two seconds.")],
    }
    assert library.by_stem["side-lunge"].title == "Side Lunge"
    assert [problem.split(":")[0] for problem in library.problems] == ["broken.pdf"]


def word_file(heading: str, text: str) -> bytes:
    """The smallest .docx with a heading and a paragraph."""
    office = "http://schemas.openxmlformats.org"
    types = f'<Types xmlns="{office}/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/d.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'  # noqa: E501
    rels = f'<Relationships xmlns="{office}/package/2006/relationships"><Relationship Id="r" Type="{office}/officeDocument/2006/relationships/officeDocument" Target="d.xml"/></Relationships>'  # noqa: E501
    style = '<w:pPr><w:pStyle w:val="Heading1"/></w:pPr>'
    body = f"<w:p>{style}<w:r><w:t>{heading}</w:t></w:r></w:p><w:p><w:r><w:t>{text}</w:t></w:r></w:p>"
    document = f'<w:document xmlns:w="{office}/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>'
    target = BytesIO()
    with ZipFile(target, "w") as archive:
        for name, content in (("[Content_Types].xml", types), ("_rels/.rels", rels), ("d.xml", document)):
            archive.writestr(name, content)
    return target.getvalue()


def pdf_file(text: str) -> bytes:
    """The smallest .pdf with a line of text; readers find its parts without a table of their places."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
    parts = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<</Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    objects = "".join(f"{number} 0 obj\n{part}\nendobj\n" for number, part in enumerate(parts, start=1))
    return f"%PDF-1.4\n{objects}trailer << /Size 6 /Root 1 0 R >>\n%%EOF".encode()
