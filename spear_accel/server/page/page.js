"use strict";
// Asks for events, plays their sound as it comes, and lights the words up as they are said.

const element = (id) => document.getElementById(id);
const rates = {};
let run = null;

function headers() {
  const key = element("key").value;
  return { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
}

function say(line, wrong = false) {
  element("status").textContent = line;
  element("status").classList.toggle("wrong", wrong);
}

async function loadVoices() {
  const answer = await fetch("v1/audio/voices", { headers: headers() });
  element("key-label").hidden = answer.status !== 401 && !element("key").value;
  if (answer.status === 401) return say("This server asks for a key.", true);
  const { voices } = await answer.json();
  element("voice").replaceChildren(...voices.map((voice) => new Option(voice.name, voice.id)));
  for (const voice of voices) rates[voice.id] = voice.sample_rate;
  say("");
}

// Events of a stream, as they come.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (waiting + value).split("\n\n");
    waiting = parts.pop();
    for (const part of parts) yield JSON.parse(part.slice("data: ".length));
  }
}

class Run {
  constructor(text, rate) {
    this.text = text;
    this.rate = rate;
    this.abort = new AbortController();
    this.sound = new AudioContext({ sampleRate: rate });
    this.begin = 0; // When the first sample sounds, by the context's clock.
    this.length = 0;
    this.pieces = [];
    this.marks = [];
    this.read = 0; // How much of the text has its words.
    this.mel = new MelPicture(element("mel"), rate);
    element("words").textContent = text;
  }

  push(bytes) {
    const whole = new Int16Array(bytes.buffer, 0, bytes.length >> 1);
    if (!whole.length) return;
    this.pieces.push(whole);
    const samples = Float32Array.from(whole, (sample) => sample / 32767);
    this.mel.push(samples);
    const buffer = this.sound.createBuffer(1, samples.length, this.rate);
    buffer.copyToChannel(samples, 0);
    const source = this.sound.createBufferSource();
    source.buffer = buffer;
    source.connect(this.sound.destination);
    const now = this.sound.currentTime + 0.05;
    if (!this.length) this.begin = now;
    // Sound that comes too late moves all that follows.
    if (this.begin + this.length / this.rate < now) this.begin = now - this.length / this.rate;
    source.start(this.begin + this.length / this.rate);
    this.length += samples.length;
  }

  addWords(words) {
    const home = element("words");
    for (const word of words) {
      const at = this.text.indexOf(word.word, this.read);
      if (at < 0) continue;
      home.lastChild?.remove();
      const mark = document.createElement("mark");
      mark.textContent = word.word;
      home.append(this.text.slice(this.read, at), mark, this.text.slice(at + word.word.length));
      this.read = at + word.word.length;
      this.marks.push({ mark, ...word });
    }
  }

  light() {
    const now = this.sound.currentTime - this.begin;
    for (const { mark, start, end } of this.marks) mark.classList.toggle("now", this.length > 0 && start <= now && now < end);
    if (run === this) requestAnimationFrame(() => this.light());
  }

  wav() {
    const head = new DataView(new ArrayBuffer(44)), bytes = 2 * this.length;
    const put = (at, letters) => [...letters].forEach((letter, n) => head.setUint8(at + n, letter.charCodeAt(0)));
    put(0, "RIFF"); head.setUint32(4, 36 + bytes, true); put(8, "WAVEfmt ");
    head.setUint32(16, 16, true); head.setUint16(20, 1, true); head.setUint16(22, 1, true);
    head.setUint32(24, this.rate, true); head.setUint32(28, 2 * this.rate, true);
    head.setUint16(32, 2, true); head.setUint16(34, 16, true); put(36, "data"); head.setUint32(40, bytes, true);
    return new Blob([head, ...this.pieces], { type: "audio/wav" });
  }

  async speak(fields) {
    const answer = await fetch("v1/audio/speech", {
      method: "POST", headers: headers(), body: JSON.stringify(fields), signal: this.abort.signal,
    });
    if (!answer.ok) throw new Error((await answer.json()).error.message);
    for await (const event of events(answer.body)) {
      if (event.type === "speech.audio.delta") this.push(Uint8Array.from(atob(event.audio), (c) => c.charCodeAt(0)));
      if (event.type === "speech.audio.words") this.addWords(event.words);
      if (event.type === "error") throw new Error(event.error.message);
    }
    const download = element("download");
    if (download.href) URL.revokeObjectURL(download.href);
    download.href = URL.createObjectURL(this.wav());
    download.hidden = false;
  }

  async end() {
    this.abort.abort();
    if (this.sound.state !== "closed") await this.sound.close();
  }
}

async function start() {
  await run?.end();
  const voice = element("voice").value, began = performance.now();
  const current = (run = new Run(element("text").value, rates[voice] ?? 24000));
  element("stop").disabled = false;
  element("download").hidden = true;
  say("…");
  current.light();
  try {
    await current.speak({
      input: current.text, voice, seed: Number(element("seed").value), speed: Number(element("speed").value),
      response_format: "pcm", stream_format: "sse", return_timestamps: true,
    });
    if (run === current) say(`${(current.length / current.rate).toFixed(1)} s of speech in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  } catch (fault) {
    if (run === current) say(fault.name === "AbortError" ? "Stopped." : fault.message, fault.name !== "AbortError");
  }
}

element("form").addEventListener("submit", (event) => { event.preventDefault(); start(); });
element("stop").addEventListener("click", () => { run?.end(); element("stop").disabled = true; });
element("key").addEventListener("change", loadVoices);
loadVoices();
