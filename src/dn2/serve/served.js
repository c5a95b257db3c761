// Sends a button's request, and shows the page anew.
for (const button of document.querySelectorAll("button[data-post]")) {
  button.addEventListener("click", async () => {
    if (button.dataset.ask && !confirm(button.dataset.ask)) return;
    button.disabled = true;
    at("served-said").textContent = "At work ...";
    const response = await fetch(button.dataset.post, { method: "POST" });
    const answer = await response.json();
    if (response.ok) location.reload();
    else {
      at("served-said").textContent = answer.error;
      button.disabled = false;
    }
  });
}
