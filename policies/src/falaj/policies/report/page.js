"use strict";
(() => {
  const form = document.querySelector(".filter");
  const [search, severity, control] = ["search", "severity", "control"].map((id) => document.getElementById(id));
  const shown = document.getElementById("shown");
  const cells = [...document.querySelectorAll(".cell")];
  const rules = [...document.querySelectorAll(".rule")].map((element) => ({
    element,
    controls: element.dataset.controls.split(" "),
    severity: element.dataset.severity,
    text: [...element.querySelectorAll("h3, .about, .todo")].map((each) => each.textContent).join("\n").toLowerCase(),
    groups: [...element.querySelectorAll(".group")].map((group) => ({
      group,
      findings: [...group.querySelectorAll(".finding")].map((item) => ({
        item,
        verdict: item.dataset.verdict,
        text: item.textContent.toLowerCase(),
      })),
    })),
  }));
  const all = rules.reduce((sum, rule) => sum + rule.groups.reduce((part, each) => part + each.findings.length, 0), 0);

  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = new Set([...form.querySelectorAll("[name=verdict]:checked")].map((box) => box.value));
    let count = 0;
    for (const rule of rules) {
      const chosen =
        (!severity.value || rule.severity === severity.value) && (!control.value || rule.controls.includes(control.value));
      let inRule = 0;
      for (const { group, findings } of rule.groups) {
        let inGroup = 0;
        for (const { item, verdict, text } of findings) {
          const fits =
            chosen && verdicts.has(verdict) && words.every((word) => text.includes(word) || rule.text.includes(word));
          item.classList.toggle("out", !fits);
          inGroup += fits;
        }
        group.classList.toggle("out", !inGroup);
        if (group.tagName === "DETAILS") group.open = inGroup > 0 && words.length > 0;
        inRule += inGroup;
      }
      rule.element.classList.toggle("out", !inRule);
      count += inRule;
    }
    shown.textContent = `${count} of ${all} findings shown`;
    for (const cell of cells) cell.setAttribute("aria-pressed", String(cell.dataset.control === control.value));
  };

  for (const cell of cells) {
    cell.addEventListener("click", () => {
      const again = control.value === cell.dataset.control;
      control.value = again ? "" : cell.dataset.control;
      // A control without findings is no choice of the list.
      if (!again && control.value !== cell.dataset.control) control.value = "";
      apply();
      // The heading takes the focus, so that readers of the page by ear are taken there too.
      if (control.value) document.getElementById("findings").focus();
    });
  }
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  // Paper has no summary to open.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const each of closed) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of closed) each.open = false;
  });
})();
