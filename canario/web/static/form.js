// Asks /predict with what the form holds, says the answer in words and sends what people say about it to /feedback.
"use strict";

(() => {
  const { language, words, columns, label } = JSON.parse(document.getElementById("content").textContent);
  const longestWaitMilliseconds = 20000;
  const part = (id) => document.getElementById(id);
  const form = part("form");
  const feedback = part("feedback");
  let answered = null;

  const say = (word, values = {}) => words[word].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const spoken = (number, options) => new Intl.NumberFormat(language, options).format(number);
  const withUnit = (number, options) => `${spoken(number, options)}\u00a0${label.unit}`.trim();

  const percent = (share) => {
    const options = { style: "percent", maximumFractionDigits: 1 };
    if (share > 0 && share < 0.001) return say("less_than", { percent: spoken(0.001, options) });
    if (share < 1 && share > 0.999) return say("more_than", { percent: spoken(0.999, options) });
    return spoken(share, options);
  };

  // Problems: beside a field, or in the form's own place.

  const mark = (field, text) => {
    part(`${field.id}-error`).textContent = text;
    if (text) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  };

  const complain = (place, text) => {
    place.textContent = text;
    place.hidden = !text;
  };

  const misfit = (field) => {
    const validity = field.validity;
    if (validity.badInput) return say("not_number");
    if (validity.valueMissing) return say("missing");
    if (validity.rangeUnderflow) return say("too_low", { low: spoken(Number(field.min), { maximumFractionDigits: 15 }) });
    if (validity.rangeOverflow) return say("too_high", { high: spoken(Number(field.max), { maximumFractionDigits: 15 }) });
    if (validity.stepMismatch) return say("not_whole");
    if (validity.tooLong) return say("too_long", { most: field.maxLength });
    return "";
  };

  const check = (fields) => {
    for (const field of fields) mark(field, misfit(field));
    const wrong = fields.find((field) => field.hasAttribute("aria-invalid"));
    if (wrong) wrong.focus();
    return !wrong;
  };

  const refused = ({ error, hint }, name, title) => {
    const reason = error.startsWith(name) ? title + error.slice(name.length) : error;
    const allowed = hint.startsWith(`${name}: `) ? hint.slice(name.length + 2) : hint;
    return allowed ? `${reason}: ${allowed}` : reason;
  };

  const explain = (problem, fields, place) => {
    const target = fields.find(({ at }) => at === problem.at);
    if (target) {
      const prefix = language === "en" ? "" : `${say("refused")} `;
      mark(target.field, prefix + refused(problem, target.name, target.title));
      target.field.focus();
    } else if (problem.error) {
      complain(place, `${say("refused")} ${refused(problem, "", "")}`);
    } else {
      complain(place, problem.words);
    }
  };

  // The server.

  const send = async (path, content) => {
    let response;
    try {
      response = await fetch(path, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify(content),
        signal: AbortSignal.timeout(longestWaitMilliseconds),
      });
      if (response.ok) return await response.json();
    } catch (failed) {
      throw { words: say(failed.name === "TimeoutError" ? "slow" : "network") };
    }
    if (response.status === 503 || response.status === 429) throw { words: say("busy") };
    const reply = response.status < 500 ? await response.json().catch(() => null) : null;
    throw reply?.error
      ? { error: reply.error, at: reply.at ?? "", hint: reply.hint ?? "" }
      : { words: say("failed", { status: response.status }) };
  };

  // The form.

  const value = (field) => {
    if (field.type === "text") return field.value;
    if (field.value === "") return null;
    if (field.type === "number") return Number(field.value);
    return field.dataset.kind === "boolean" ? field.value === "true" : field.value;
  };

  const ask = async () => {
    const fields = columns.map(({ id }) => part(id));
    complain(part("problem"), "");
    if (!check(fields)) return;
    const row = Object.fromEntries(columns.map(({ name }, place) => [name, value(fields[place])]));
    const places = columns.map(({ name, title }, place) => ({ at: `rows[0].${name}`, field: fields[place], name, title }));
    const button = part("ask");
    button.textContent = say("asking");
    button.setAttribute("aria-disabled", "true");
    try {
      show(await send("predict", { rows: [row] }));
    } catch (problem) {
      explain(problem, places, part("problem"));
    }
    button.textContent = say("ask");
    button.removeAttribute("aria-disabled");
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!part("ask").hasAttribute("aria-disabled")) ask();
  });
  form.addEventListener("input", (event) => mark(event.target, ""));
  form.addEventListener("reset", () => {
    complain(part("problem"), "");
    for (const { id } of columns) mark(part(id), "");
    part("answer").removeAttribute("data-answered");
    part("headline").textContent = part("detail").textContent = part("remark").textContent = "";
  });

  // The answer, in words.

  const inWords = ({ label: answer, score }) => {
    if (label.task === "regression") {
      const about = withUnit(answer, { maximumSignificantDigits: 3 });
      const exactly = withUnit(answer, { maximumFractionDigits: 2 });
      return { headline: say("about", { value: about }), detail: about === exactly ? "" : say("exactly", { value: exactly }) };
    }
    if (label.classes.length > 2) {
      const headline = say(score < 0.5 ? "most_likely" : "probably", { label: answer });
      return { headline, detail: say("chance", { percent: percent(score), label: answer }), share: score };
    }
    const positive = label.classes[1];
    const expected = (answer === positive) === (score >= 0.5);
    return {
      headline: say(expected ? "probably" : "treated", { label: answer }),
      detail: say("chance", { percent: percent(score), label: positive }),
      remark: label.threshold === 0.5 ? "" : say("threshold", { percent: percent(label.threshold), label: positive }),
      share: score,
      threshold: label.threshold,
    };
  };

  const show = (reply) => {
    answered = { ...reply.predictions[0], version: reply.version };
    const { headline, detail, remark = "", share, threshold } = inWords(answered);
    part("headline").textContent = headline;
    part("detail").textContent = detail;
    part("remark").textContent = remark;
    part("scale").hidden = share === undefined;
    part("share").style.width = `${100 * share}%`;
    part("mark").hidden = threshold === undefined;
    part("mark").style.left = `${100 * threshold}%`;
    part("version").textContent = answered.version;
    part("prediction").textContent = answered.prediction_id;
    offerFeedback();
    part("answer").setAttribute("data-answered", "");
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    part("answer").scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  };

  // Was this right?

  const others = () => label.classes.filter((name) => name !== answered.label);

  const offerFeedback = () => {
    feedback.hidden = false;
    part("choices").hidden = false;
    part("correction").hidden = true;
    part("thanks").textContent = "";
    complain(part("feedback-problem"), "");
    const [other, ...more] = others();
    part("no").textContent = other && !more.length ? say("right_no_but", { label: other }) : say("right_no");
    mark(part("truth"), "");
    if (other) part("truth").replaceChildren(new Option(say("choose"), ""), ...others().map((name) => new Option(name, name)));
    else part("truth").value = "";
  };

  const tell = async (truth) => {
    const field = part("truth");
    complain(part("feedback-problem"), "");
    try {
      await send("feedback", { prediction_id: answered.prediction_id, truth });
    } catch (problem) {
      const places = part("correction").hidden ? [] : [{ at: "truth", field, name: "truth", title: "" }];
      explain(problem, places, part("feedback-problem"));
      return;
    }
    feedback.hidden = true;
    part("thanks").textContent = say("thanks", { version: answered.version });
    part("thanks").focus();
  };

  part("yes").addEventListener("click", () => tell(answered.label));
  part("no").addEventListener("click", () => {
    if (others().length === 1) {
      tell(others()[0]);
      return;
    }
    part("choices").hidden = true;
    part("correction").hidden = false;
    part("truth").focus();
  });
  feedback.addEventListener("input", (event) => mark(event.target, ""));
  feedback.addEventListener("submit", (event) => {
    event.preventDefault();
    const field = part("truth");
    if (check([field])) tell(value(field));
  });
})();
