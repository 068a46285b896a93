"""Step 1: how grave a conversation is, from the reviewed words and what was learned from example messages.

What one message adds stays for the conversation until a later message takes it back.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from assistant.classifier import Classifier, Estimate, joined
from assistant.language import foreign
from assistant.lexicon import Finding, Heard, Message, listen
from assistant.rules import NoticeName, Rules
from assistant.types import LEVELS, URGENCIES, Level, Reason, Triage, Turn, Urgency

SCREEN_FAILED = "screen_failed"
SHORT = 8
"""A message of at most so many words that denies something ("she has no pain") explains nothing away by that."""
TAKEN_BACK, TAKEN_BACK_SUPPORTED = 0.9, 0.5
"""The chances from which a message is held to take back what was said before it, alone or where its words support that;
chosen on the dev halves so that playing down never does."""

_LEVEL_OF: dict[Urgency, Level] = {"none": "none", "routine": "consult", "today": "consult", "now": "emergency"}


def screen(turns: Sequence[Turn], floor: Triage, rules: Rules, classifier: Classifier | None) -> Triage:
    """The gravest level in all user messages, never below the floor unless the user takes back what made it.

    Without a classifier (no encoder) the words alone decide.
    """
    messages = [Message(turn.text, rules) for turn in turns if turn.role == "user"]
    said: set[tuple[int, int]] = set()
    heard = [listen(message, turn, said) for turn, message in enumerate(messages)]
    estimates: Sequence[Estimate | None] = [None] * len(messages)
    if classifier:
        texts = [message.text for message in messages]
        pairs = [joined(reason.quote, texts[-1]) for reason in floor.reasons] if texts else []
        estimates = classifier.estimates([*texts, *pairs])[: len(texts)]  # the pairs are remembered for _taken_back
        estimates = [  # the examples are English: of another language only the words know the main red flags
            None if foreign(message.text) else estimate for message, estimate in zip(messages, estimates, strict=True)
        ]
        heard = [
            _weighed(message, turn, one, estimate, classifier) if estimate else one
            for turn, (message, one, estimate) in enumerate(zip(messages, heard, estimates, strict=True))
        ]
    found = {finding.reason for one in heard for finding in one.findings}

    carried: list[tuple[int, Finding]] = []
    for reason in floor.reasons:
        if reason not in found:
            rule = rules.rules.get(reason.rule)
            level = min(rule.level if rule else floor.level, floor.level, key=LEVELS.index)
            still_there = 0 <= reason.turn < len(messages) and reason.quote in messages[reason.turn].text
            since = reason.turn if still_there else len(messages) - 2  # edited away: only the last message clears it
            carried.append((since, Finding(reason, level, "now" if level == "emergency" else floor.urgency)))

    active = [finding for since, finding in carried if since < 0]
    gone: list[Finding] = []
    for turn, (message, one, estimate) in enumerate(zip(messages, heard, estimates, strict=True)):
        if message.cue("affirmed"):
            active += gone  # what the last message took back was true
            active += _affirmed(message, turn, heard[turn - 1], rules) if turn else []
        gone = _taken_back(message, one, active, classifier if estimate else None) if active else []
        active = [finding for finding in active if finding not in gone]
        healed = (
            {finding.reason.rule for finding in gone} if message.cue("healed") and message.cue("cleared") else set()
        )
        active += [finding for finding in one.findings if finding.reason.rule not in healed]
        active += [finding for since, finding in carried if since == turn >= 0]

    if not any(message.cue("asks_for_other") for message in messages):
        active = [finding for finding in active if not finding.if_asked]
    standing = {(finding.reason.rule, finding.reason.turn) for finding in active}
    kept = tuple(reason for reason in floor.reasons if (reason.rule, reason.turn) in standing)
    known = {(reason.rule, reason.turn) for reason in kept}
    added = (finding.reason for finding in active if (finding.reason.rule, finding.reason.turn) not in known)
    at_least = floor if kept == floor.reasons else Triage()
    return Triage(
        level=max((at_least.level, *(finding.level for finding in active)), key=LEVELS.index),
        urgency=max((at_least.urgency, *(finding.urgency for finding in active)), key=URGENCIES.index),
        reasons=(*kept, *added),
    )


def _weighed(message: Message, turn: int, heard: Heard, estimate: Estimate, classifier: Classifier) -> Heard:
    """What a message adds once both kinds of evidence are weighed; where only the learned one speaks, for its reason.

    What rests on other messages too (two halves of one sign, advice asked for somebody else) the words alone decide.
    """
    own = [finding for finding in heard.findings if not (finding.across or finding.if_asked)]
    said: Urgency = max((finding.urgency for finding in own), key=URGENCIES.index, default="none")
    urgency = classifier.decide(estimate, said)
    limit = URGENCIES.index(urgency)
    findings = [finding for finding in heard.findings if finding not in own]
    if urgency != "none":
        lowered = [finding for finding in own if URGENCIES.index(finding.urgency) > limit]
        findings += [finding for finding in own if finding not in lowered]
        findings += [replace(finding, level=_LEVEL_OF[urgency], urgency=urgency) for finding in lowered]
        if limit > URGENCIES.index(said):
            reason = Reason(classifier.rule_of(estimate, urgency), turn, message.quote_around(estimate.place))
            findings = [finding for finding in findings if finding.reason.rule != reason.rule]
            findings.append(Finding(reason, _LEVEL_OF[urgency], urgency))
    return replace(heard, findings=findings)


def _affirmed(message: Message, turn: int, before: Heard, rules: Rules) -> list[Finding]:
    """The signs that the message before denied, supposed or asked about, now said to be there ("ok, now I do")."""
    open_ones = [rule for rule, read in before.statuses.items() if read <= {"denied", "hypothetical", "information"}]
    signs = [rules.rules[rule] for rule in open_ones if rules.rules[rule].kind == "sign"]
    quote = message.quote(message.cue("affirmed")[0])
    return [Finding(Reason(rule.id, turn, quote), rule.level, rule.urgency) for rule in signs]


def _taken_back(message: Message, heard: Heard, earlier: list[Finding], classifier: Classifier | None) -> list[Finding]:
    """Those earlier findings that this message clearly takes back; playing down and correcting a detail do not."""
    denied = {rule for rule, read in heard.statuses.items() if read <= {"denied", "idiom", "elsewhere", "healed"}}
    named = [finding for finding in earlier if finding.reason.rule in denied]
    if classifier is None:
        return _taken_back_in_words(message, heard, earlier, named)
    elsewhere = message.cue("animals") + message.cue("stories") + message.cue("idioms")
    leads = message.cue("correction") + message.cue("slip") + message.cue("typo")
    explained = elsewhere or (message.cue("healed") and message.cue("cleared")) or (leads and message.cue("denial"))
    short = len(message.words) <= SHORT and (message.cue("negation") or message.cue("noun_negation"))
    if (denied or short) and not (named or leads or explained):
        return []  # denying one sign does not clear another
    affirmed = {finding.reason.rule for finding in heard.findings}
    gone = [
        finding
        for finding in earlier
        if finding.reason.rule not in affirmed
        and classifier.takes_back(finding.reason.quote, message.text)
        >= (TAKEN_BACK_SUPPORTED if explained or finding in named else TAKEN_BACK)
    ]
    return [one for one in earlier if one.reason.rule not in affirmed and any(_same(one, other) for other in gone)]


def _taken_back_in_words(message: Message, heard: Heard, earlier: list[Finding], named: list[Finding]) -> list[Finding]:
    """The same without a classifier: a correction needs a denial, an animal, a story or an idiom with it."""
    last = [finding for finding in earlier if finding.reason.turn == max(known.reason.turn for known in earlier)]
    if message.cue("healed") and message.cue("cleared") and not message.cue("ongoing"):
        named = [finding for finding in earlier if finding.reason.rule in heard.statuses]
        return named or ([] if message.cue("detail") else last)
    leads = message.cue("correction") + message.cue("slip")
    if not leads:
        return []
    if named:
        return named
    if affirmed := {finding.reason.rule for finding in heard.findings}:
        known = message.rules.rules
        return [one for one in last if one.reason.rule in known and affirmed & set(known[one.reason.rule].corrected_to)]
    slipped = message.cue("slip") or (message.cue("typo") and message.cue("correction"))
    elsewhere = message.cue("animals") + message.cue("stories") + message.cue("idioms") + message.cue("denial")
    if any(cue >= min(leads) for cue in elsewhere) or (slipped and not message.cue("detail")):
        return last
    return []


def _same(one: Finding, other: Finding) -> bool:
    """Whether two findings are of one rule, or of the same words."""
    a, b = one.reason, other.reason
    return a.rule == b.rule or (a.turn == b.turn and (a.quote in b.quote or b.quote in a.quote))


def taken_back(before: Triage, after: Triage) -> str:
    """What the reader is told when a message took something back; empty when none did."""
    fallen = URGENCIES.index(after.urgency) < URGENCIES.index(before.urgency)
    gone = [reason.quote for reason in before.reasons if reason not in after.reasons and reason.quote]
    if not fallen:
        return ""
    quotes = " and ".join(f"“{_shown(quote)}”" for quote in dict.fromkeys(gone[:2])) or "what you wrote before"
    return f"You took back {quotes}, so it no longer counts. If it was true after all, please say so again."


def screen_failed(floor: Triage) -> Triage:
    """The cautious answer when the screen itself broke: at least consult, today."""
    return Triage(
        level=max(floor.level, "consult", key=LEVELS.index),
        urgency=max(floor.urgency, "today", key=URGENCIES.index),
        reasons=tuple(dict.fromkeys((*floor.reasons, Reason(SCREEN_FAILED, 0, "")))),
    )


def advice(triage: Triage, rules: Rules, emergency_number: str, crisis_contact: str) -> str:
    """The notice in Markdown: what to do, whom to see and when, and the user's own words that call for it."""
    if triage.level == "none":
        return ""
    chosen: dict[str, list[Reason]] = {}
    for reason in triage.reasons:
        if reason.rule != SCREEN_FAILED or triage.level != "emergency":
            chosen.setdefault(_notice_name(reason, triage, rules), []).append(reason)
    order: tuple[NoticeName, ...] = get_args(NoticeName)
    names: list[str] = [name for name in order if name in chosen]
    if not names or (triage.level == "emergency" and names[0] not in ("emergency", "crisis")):
        names = [_notice_name(None, triage, rules)]
    if names[:2] != ["emergency", "crisis"]:
        names = names[:1]
    paragraphs = []
    for name in names:
        reasons = sorted(chosen.get(name, ()), key=lambda reason: [*rules.rules, reason.rule].index(reason.rule))
        rule = rules.rules.get(reasons[0].rule) if reasons else None
        text = rules.notices[name].replace("{advice}", rule.advice if rule else "")
        text = text.replace("{emergency_number}", emergency_number).replace("{crisis_contact}", crisis_contact)
        said = list(dict.fromkeys(_shown(reason.quote) for reason in reasons if reason.quote))
        quotes = [f"“{one}”" for one in said if not any(one != other and one in other for other in said)][:2]
        because = rules.notices["because"].replace("{quotes}", " and ".join(quotes)) if quotes else ""
        paragraphs.append(f"{text} {because}".strip())
    return "\n\n".join(paragraphs)


def _notice_name(reason: Reason | None, triage: Triage, rules: Rules) -> str:
    rule = rules.rules.get(reason.rule) if reason else None
    if rule is None:
        return "emergency" if triage.level == "emergency" else "failed"
    if rule.notice:
        return rule.notice
    if rule.level == "emergency" and triage.level == "consult":
        others = {rules.rules[other.rule].urgency for other in triage.reasons if other.rule in rules.rules}
        return "past" if triage.urgency == "today" and "today" not in others else "hypothetical"
    return {"now": "emergency"}.get(rule.urgency, rule.urgency)


def _shown(quote: str) -> str:
    """The user's words on one line, without the markup they may contain."""
    line = " ".join(quote.split())
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&$])", r"\\\1", line if len(line) <= 90 else line[:89] + "…")
