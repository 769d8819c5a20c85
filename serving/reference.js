for (const form of document.forms) form.addEventListener("submit", async event => {
  event.preventDefault();
  const body = form.querySelector("textarea"), output = form.querySelector("output"), answer = form.querySelector("pre");
  const key = document.getElementById("key").value, headers = key ? { authorization: "Bearer " + key } : {};
  if (body) headers["content-type"] = "application/json";
  try {
    const found = await fetch(form.dataset.path, { method: form.dataset.method, headers, body: body ? body.value : undefined });
    const text = await found.text();
    output.textContent = found.status;
    try { answer.textContent = JSON.stringify(JSON.parse(text), null, 2); } catch { answer.textContent = text; }
    answer.hidden = false;
  } catch (error) { output.textContent = error; }
});
