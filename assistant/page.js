// The page in the browser: sends what a reader does, keeps the conversations, and shows an article's lines.
// `element`, `props`, `server`, `trigger` and `watch` are what Gradio hands to a gr.HTML component.
"use strict";
(async () => {
const KEY = "spotter:", PATIENCE = 4000, TITLE = 60;
const at = id => document.getElementById(id);
// The other parts of the page may come a moment later than the chat.
while (!at("words") || !at("article") || !at("conversations")) await new Promise(requestAnimationFrame);
const all = (query, root = document) => [...root.querySelectorAll(query)];
const LIMIT = +at("question").dataset.limit, words = JSON.parse(at("words").dataset.words);
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let conversation = props.value.conversation;  // as the server last gave it
let asked = null, busy = false, stopping = false, waiting = 0;  // what is being answered
let editing = null;  // the number of the question that is being changed
let down = false;  // whether the server could not be reached
let left = null;  // the conversation that a reload interrupted
let arrived = false;  // whether an answer came while another view was shown

// --- what is told beside the conversation ---
const tell = text => { at("told").textContent = text; };

function lost() {
  down = true;
  at("ready").textContent = words.offline;
  at("ready").dataset.state = "failed";
  tell(asked ? words.unreachable : words.unreachable_now);
  if (asked) {
    at("question").value = asked.text;
    keepDraft();
    editing = asked.at ?? null;
    at("editing").hidden = editing === null;
    setBusy(false);
    element.querySelector(".log").removeAttribute("aria-busy");
    all(".pending", element).forEach(one => one.remove());
    all(".log > [hidden]", element).forEach(one => { one.hidden = false; });
  }
}

async function checkServer() {
  try {
    await fetch(location.pathname, {method: "HEAD", cache: "no-store"});
    if (down) { down = false; awaitReady(words.reached); }
  } catch { lost(); }
}

// Asks the server for something beside the conversation; what fails there comes back as nothing.
async function call(name, sent = "") {
  const given = await server[name](sent);
  if (given === undefined) { tell(words.broken); throw new Error(`${name} failed`); }
  return given;
}

// --- asking ---
function setBusy(now) {
  busy = now;
  at("ask").hidden = now;
  at("stop").hidden = !now;
  clearInterval(waiting);
  if (now) waiting = setInterval(() => {
    checkServer();
    all(".looking", element).forEach(one => { one.textContent = words.still_looking; });
  }, PATIENCE);
  else {
    asked = null;
    if (at("told").textContent === words.busy) tell("");
  }
}

// What was just asked stands in the conversation before the server has heard of it.
function pending(text, place) {
  const log = element.querySelector(".log"), one = document.createElement("div");
  all(".exchange", log).slice(place ?? Infinity).forEach(later => { later.hidden = true; });
  all(".welcome", log).forEach(welcome => { welcome.hidden = true; });
  one.className = "exchange pending";
  one.innerHTML = '<div class="asked"><p></p></div><div class="replied"><p class="looking"></p></div>';
  one.querySelector("p").textContent = text;
  one.querySelector(".looking").textContent = words.looking;
  log.append(one);
  toLast();
}

function ask(text, place = null) {
  if (!text.trim()) return;
  if (busy) { tell(words.busy); return; }
  tell("");
  asked = {text, at: place};
  stopping = false;
  show("chat");
  setBusy(true);
  cancelEdit();
  if (text.length <= LIMIT) at("question").value = "";  // what is too long is kept, to be shortened
  resize();
  keepDraft();
  pending(text, place);
  trigger("submit", {...asked, conversation});
}

function cancelEdit() {
  if (editing !== null) at("question").value = "";
  editing = null;
  at("editing").hidden = true;
}

const keepDraft = () => sessionStorage.setItem("draft", at("question").value);

function resize() {
  const box = at("question");
  box.style.height = "auto";
  box.style.height = Math.min(box.scrollHeight + 2, 180) + "px";
  tell(box.value.length > LIMIT ? fill(words.long, {count: box.value.length, limit: LIMIT}) : "");
}

// --- conversations in this browser, each under a key of its own so that tabs do not overwrite each other ---
function saved() {
  return Object.keys(localStorage).filter(key => key.startsWith(KEY)).map(key => {
    try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
  }).filter(one => one?.conversation?.exchanges?.length).sort((a, b) => b.at - a.at);
}

function save() {
  if (!conversation.exchanges.length || JSON.stringify(stored(conversation.id)) === JSON.stringify(conversation)) return;
  sessionStorage.setItem(KEY + "open", conversation.id);
  try { localStorage.setItem(KEY + conversation.id, JSON.stringify({at: Date.now(), conversation})); }
  catch { tell(words.full); }
}

function listConversations() {
  const list = at("conversations");
  list.replaceChildren(...saved().map(({conversation: one, at: when}) => {
    const title = one.exchanges[0].asked.slice(0, TITLE), item = document.createElement("li");
    const open = document.createElement("button"), remove = document.createElement("button");
    open.type = remove.type = "button";
    open.textContent = title;
    open.title = `${one.exchanges[0].asked}\n${new Date(when).toLocaleString()}`;
    open.dataset.open = one.id;
    if (one.id === conversation.id) open.setAttribute("aria-current", "true");
    remove.textContent = "×";
    remove.setAttribute("aria-label", fill(words.delete_named, {title}));
    remove.dataset.remove = one.id;
    item.append(open, remove);
    return item;
  }));
  if (!list.children.length) list.innerHTML = "<li class=quiet></li>", list.firstChild.textContent = words.no_conversations;
}

function open(data, said = "") {
  if (data) sessionStorage.setItem(KEY + "open", data.id); else sessionStorage.removeItem(KEY + "open");
  setBusy(false);
  cancelEdit();
  tell(said);
  trigger("select", {conversation: data});
}

function drop(id) {
  if (!confirm(words.delete_sure)) return;
  localStorage.removeItem(KEY + id);
  if (id === conversation.id) open(null);
  listConversations();
  at("question").focus();
}

const stored = id => saved().find(one => one.conversation.id === id)?.conversation ?? null;

// --- what comes from the server ---
watch("value", () => {
  if (down) { down = false; tell(""); }
  const before = conversation, away = document.body.dataset.view !== "chat";
  left = null;
  conversation = props.value.conversation;
  if (busy !== props.value.busy) setBusy(props.value.busy);
  if (busy && stopping) trigger("stop", {conversation});  // it was stopped before the server had begun
  save();
  listConversations();
  all("[data-do=export]").forEach(one => { one.hidden = !conversation.exchanges.length; });
  if (before.id !== conversation.id || before.exchanges.length !== conversation.exchanges.length || !busy) toLast();
  arrived ||= away;
});

function toLast() {
  const log = element.querySelector(".log"), last = all(".exchange", log).pop();
  log.scrollTop = last ? last.offsetTop - log.offsetTop - 12 : 0;
}

// --- views, sources and the article ---
function show(view) {
  document.body.dataset.view = view;
  all("button[data-view]").forEach(one => one.toggleAttribute("aria-current", false));
  all(`.views [data-view=${view}]`).forEach(one => one.setAttribute("aria-current", "page"));
  if (view === "chat" && arrived) { arrived = false; toLast(); }
}

async function view(name, step = true) {
  if (step && name !== document.body.dataset.view) history.pushState({view: name}, "");
  show(name);
  if (name === "status") at("status").innerHTML = await call("status");
  else if (name === "evals") {
    const {html, report} = await call("evals");
    at("evals").innerHTML = html;
    if (report) at("report").srcdoc = report;
  } else if (name === "article" && !at("article").querySelector("[data-stem]")) await read("");
}

async function read(stem, start, end) {
  const panel = at("article"), shown = panel.querySelector("[data-stem]");
  if (shown?.dataset.stem !== stem || !stem) panel.innerHTML = await call("article", stem);
  all(".lit", panel).forEach(one => { one.classList.remove("lit"); one.removeAttribute("aria-current"); });
  if (start === undefined) return;
  const lines = all(".line", panel).filter(one => one.dataset.start < +end && one.dataset.end > +start);
  lines.forEach(one => { one.classList.add("lit"); one.setAttribute("aria-current", "true"); });
  scrollTo(lines[0]);
}

function scrollTo(line) {
  const text = at("article").querySelector(".text");
  if (!line || !text.offsetParent) return;
  const top = line.getBoundingClientRect().top - text.getBoundingClientRect().top + text.scrollTop - text.clientHeight / 3;
  text.scrollTo({top, behavior: calm.matches ? "auto" : "smooth"});
}

function mark(source) {
  all(".source.marked").forEach(one => one.classList.remove("marked"));
  source.closest("details").open = true;
  source.classList.add("marked");
  // Beside the chat the article shows the line, and the answer stays where it is.
  if (narrow.matches) source.scrollIntoView({block: "nearest", behavior: calm.matches ? "auto" : "smooth"});
  return source.querySelector("[data-article]").dataset;
}

// --- out of the page ---
async function copy(text) {
  try { await navigator.clipboard.writeText(text); tell(words.copied); } catch { tell(words.not_copied); }
}

async function download(what) {
  const {name, text} = await call("export_as", {conversation, what});
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "text/markdown"}));
  link.download = `${name}-${new Date().toISOString().slice(0, 10)}.md`;
  link.click();
  URL.revokeObjectURL(link.href);
  tell(fill(words.saved, {name: link.download}));
}

function feedback(button) {
  const tools = button.closest(".tools"), verdict = button.dataset.thumb;
  closeFeedback();
  tell("");
  const form = at("feedback").content.cloneNode(true).firstElementChild;
  all("label[data-thumb]", form).forEach(one => { if (one.dataset.thumb !== verdict) one.remove(); });
  form.dataset.verdict = verdict;
  form.dataset.number = button.closest(".exchange").dataset.number;
  button.setAttribute("aria-expanded", "true");
  tools.after(form);
  form.scrollIntoView({block: "nearest"});
  form.querySelector("input").focus();
}

function closeFeedback() {
  all(".exchange .feedback").forEach(one => one.remove());
  all(".tools [aria-expanded=true]").forEach(one => { one.setAttribute("aria-expanded", "false"); one.focus(); });
}

async function sendFeedback(form) {
  const given = {
    verdict: form.dataset.verdict, number: +form.dataset.number,
    reason: form.querySelector("input:checked[type=radio]")?.value ?? "", consent: form.consent.checked,
  };
  closeFeedback();
  try { tell(await call("feedback", {conversation, ...given})); } catch { tell(words.no_feedback); }
}

// --- what a reader does ---
const DOES = {
  new: () => { open(null); view("chat"); at("question").focus(); },
  stop: () => {
    stopping = true;
    all(".looking", element).forEach(one => { one.textContent = words.stopping; });
    trigger("stop", {conversation, ...asked});
    at("question").focus();
  },
  cancel: () => { cancelEdit(); resize(); at("question").focus(); },
  export: button => download(button.dataset.what),
  clear: () => { if (confirm(words.clear_sure)) { saved().forEach(one => localStorage.removeItem(KEY + one.conversation.id)); open(null); listConversations(); at("question").focus(); } },
  "no-feedback": closeFeedback,
};

document.addEventListener("click", event => {
  const link = event.target.closest(".contents a");
  if (link) { event.preventDefault(); const head = at(link.hash.slice(1)); scrollTo(head); head.focus({preventScroll: true}); return; }
  const button = event.target.closest("button"), data = button?.dataset;
  if (!data) return;
  if (data.do) DOES[data.do](button);
  else if (data.view) view(data.view);
  else if (data.ask) ask(data.ask);
  else if (data.fill) { view("chat"); at("question").value = data.fill; resize(); at("question").focus(); }
  else if (data.cite) { const source = mark(at("source-" + data.cite)); read(source.article, source.start, source.end); }
  else if (data.article) { if (data.start) mark(button.closest(".source")); if (narrow.matches) view("article"); read(data.article, data.start, data.end); }
  else if (data.edit) {
    editing = +data.edit;
    at("editing").hidden = false;
    at("question").value = conversation.exchanges[editing].asked;
    resize();
    at("question").focus();
  } else if (data.retry) {
    const last = +data.retry === conversation.exchanges.length - 1;
    if (last || confirm(words.retry_sure)) ask(conversation.exchanges[+data.retry].asked, +data.retry);
    at("question").focus();
  }
  else if (data.copy !== undefined) copy(data.copy);
  else if (data.thumb) feedback(button);
  else if (data.open) { view("chat"); fold(); open(stored(data.open)); at("question").focus(); }
  else if (data.remove) drop(data.remove);
});
const narrow = matchMedia("(max-width: 60rem)");
document.addEventListener("focusin", event => {
  if (event.target.matches(".cite:focus-visible")) mark(at("source-" + event.target.dataset.cite));
});
document.addEventListener("submit", event => {
  event.preventDefault();
  if (event.target.id === "composer") ask(at("question").value, editing);
  else if (event.target.matches(".feedback")) sendFeedback(event.target);
});
document.addEventListener("change", event => { if (event.target.id === "articles") read(event.target.value); });
at("question").addEventListener("input", () => { resize(); keepDraft(); });
document.addEventListener("keydown", event => {
  if (event.key === "Escape") all(".sources[open]", element).forEach(one => { one.open = false; });
});
addEventListener("popstate", event => view(event.state?.view ?? "chat", false));
new ResizeObserver(() => { if (!busy) toLast(); }).observe(element);
at("question").addEventListener("keydown", event => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); at("composer").requestSubmit(); }
  if (event.key === "Escape" && editing !== null) DOES.cancel();
});
addEventListener("storage", event => {
  listConversations();
  if (event.key !== KEY + conversation.id || busy) return;
  const other = stored(conversation.id);
  open(other, other ? words.elsewhere : "");
});
addEventListener("offline", checkServer);
addEventListener("online", checkServer);

// --- the beginning ---
async function awaitReady(said = "") {
  const {text, state} = await call("ready");
  at("ready").textContent = text;
  at("ready").dataset.state = state;
  if (state === "loading") { setTimeout(awaitReady, 500, said); return; }
  if (state === "ready") read("");
  if (!busy) open(conversation.exchanges.length ? conversation : left, said);  // now with examples, or checked for changes
}
show("chat");
at("question").value = sessionStorage.getItem("draft") ?? "";
resize();
const fold = () => { at("conversations").closest("details").open = !narrow.matches; };
narrow.addEventListener("change", fold);
fold();
listConversations();
left = stored(sessionStorage.getItem(KEY + "open"));
if (left) open(left);
awaitReady();
})();
