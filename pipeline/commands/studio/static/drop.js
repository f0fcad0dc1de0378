// A file that is dropped or chosen: sent to the studio, which keeps it, and then read there.

import { bytes, byId, made, show } from "./page.js";

const place = byId("drop");
const input = byId("file");

function refuse(words) {
  show(byId("sending"), false);
  byId("drop-error").textContent = words;
  show(byId("drop-error"), true);
}

function answerOf(request) {
  try {
    return JSON.parse(request.responseText);
  } catch {
    return {};
  }
}

function send(file) {
  show(byId("drop-error"), false);
  show(byId("sending"), true);
  const said = byId("sent-said");
  said.textContent = `Copying ${file.name} (${bytes(file.size)}) …`;
  const request = new XMLHttpRequest(); // fetch does not tell how much was sent
  request.open("POST", `/upload?name=${encodeURIComponent(file.name)}`);
  request.setRequestHeader("Accept", "application/json");
  request.upload.onprogress = (event) => {
    if (event.lengthComputable) byId("sent").value = event.loaded / event.total;
  };
  request.onerror = () => refuse("The studio does not answer; the file was not kept.");
  request.onload = () => {
    const answer = answerOf(request);
    if (request.status !== 200) {
      refuse(answer.error ?? "The file could not be kept.");
      return;
    }
    said.textContent = `Reading ${file.name} (${bytes(answer.size)}) …`;
    byId("sent").removeAttribute("value");
    const source = made("input");
    source.type = "hidden";
    source.name = "source";
    source.value = answer.path;
    place.append(source);
    place.submit();
  };
  request.send(file);
}

function taken(files, entries) {
  if (entries.some((entry) => entry?.isDirectory)) {
    refuse("That is a folder. Drop it as a zip, or give its path below.");
  } else if (files.length > 1) {
    refuse("Drop one file; several chats of one app can be dropped as one zip.");
  } else if (files.length === 1) {
    send(files[0]);
  }
}

input.addEventListener("change", () => taken([...input.files], []));
for (const event of ["dragenter", "dragover"]) {
  document.addEventListener(event, (dragged) => {
    dragged.preventDefault();
    place.classList.add("over");
  });
}
document.addEventListener("dragleave", (dragged) => {
  if (dragged.relatedTarget === null) place.classList.remove("over");
});
document.addEventListener("drop", (dropped) => {
  dropped.preventDefault();
  place.classList.remove("over");
  const items = [...dropped.dataTransfer.items];
  taken([...dropped.dataTransfer.files], items.map((item) => item.webkitGetAsEntry?.()));
});
// A page that the browser shows again has what was chosen before.
window.addEventListener("pageshow", () => {
  input.value = "";
  show(byId("sending"), false);
});
