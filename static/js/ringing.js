// The sound and the system's notifications for alerts: off until somebody asks for them, in the account's
// comfort settings, and for this browser alone.

import { gettext } from "./words.js";

const KEY = "mailweir-sound";
const TONES = { true: [880, 660, 880], false: [660, 880] }; // Hz: critical, and less
let audio = null;

export function isSoundOn() {
  try {
    return localStorage.getItem(KEY) === "on";
  } catch {
    return false;
  }
}

function setSound(isOn) {
  try {
    localStorage.setItem(KEY, isOn ? "on" : "off");
  } catch {
    // storage may be forbidden: the switch shows that it did not move
  }
}

// Two or three short tones. A browser lets a page sound only after a click or key in it.
export function ring(isCritical) {
  document.dispatchEvent(new CustomEvent("mailweir:rang", { detail: { isCritical } }));
  try {
    audio ||= new AudioContext();
    audio.resume();
    TONES[Boolean(isCritical)].forEach((tone, place) => sound(tone, audio.currentTime + place * 0.22));
  } catch {
    // no sound on this machine
  }
}

function sound(tone, at) {
  const source = audio.createOscillator();
  const volume = audio.createGain();
  source.frequency.value = tone;
  volume.gain.setValueAtTime(0, at);
  volume.gain.linearRampToValueAtTime(0.15, at + 0.02);
  volume.gain.linearRampToValueAtTime(0, at + 0.18);
  source.connect(volume).connect(audio.destination);
  source.start(at);
  source.stop(at + 0.2);
}

const isAllowed = () => "Notification" in window && Notification.permission === "granted";

export function notify(alerts) {
  if (!isAllowed()) return;
  for (const each of alerts.slice(0, 3)) {
    try {
      const told = new Notification(each.told, { tag: each.key, body: gettext("Mailweir: an alert fires."), icon: document.querySelector("link[rel=icon]")?.href });
      told.addEventListener("click", () => {
        window.focus();
        location.assign(each.link);
      });
    } catch {
      // telephones want a service worker for it
    }
  }
}

function draw() {
  const box = document.getElementById("ringing");
  box.querySelector("[name=sound]").checked = isSoundOn();
  const said = "Notification" in window ? Notification.permission : "unsupported";
  const words = {
    granted: gettext("The system's notifications are on."),
    denied: gettext("This browser refuses them for this address: allow them in its settings."),
    default: "",
    unsupported: gettext("This browser has none, or wants HTTPS for them."),
  };
  box.querySelector("[data-part=said]").textContent = words[said];
  box.querySelector("[data-part=ask]").hidden = said !== "default";
}

// The switches of the account's page.
export function start() {
  const box = document.getElementById("ringing");
  if (!box) return;
  draw();
  box.hidden = false;
  box.querySelector("[name=sound]").addEventListener("change", (event) => {
    setSound(event.target.checked);
    draw();
    if (isSoundOn()) ring(false);
  });
  box.querySelector("[data-part=ask]").addEventListener("click", async () => {
    await Notification.requestPermission();
    draw();
  });
}
