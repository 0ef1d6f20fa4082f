// Everything of WebAudio: level meter, microphone mixed with a shared tab, small sounds.

import { recall } from "./page.js";

let context;

/** The one audio context; it may sleep until the first click or key. */
export function audioContext() {
  context ??= new AudioContext({ latencyHint: "interactive" });
  if (context.state === "suspended") context.resume().catch(() => {});
  return context;
}

const FLOOR_DB = -60;

/** Calls `told` with 0..1 some times a second while the track lives, until the function returned is called. */
export function meter(track, told) {
  const audio = audioContext();
  const source = audio.createMediaStreamSource(new MediaStream([track]));
  const analyser = new AnalyserNode(audio, { fftSize: 1024 });
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
    const db = 10 * Math.log10(power + 1e-12);
    told(Math.max(0, Math.min(1, 1 - db / FLOOR_DB)));
  }, 80);
  return () => {
    clearInterval(timer);
    source.disconnect();
  };
}

/** One audio track of several, and the end of mixing them. */
export function mixed(tracks) {
  const audio = audioContext();
  const out = audio.createMediaStreamDestination();
  const sources = tracks.map((track) => audio.createMediaStreamSource(new MediaStream([track])));
  for (const source of sources) source.connect(out);
  return { track: out.stream.getAudioTracks()[0], close: () => sources.forEach((source) => source.disconnect()) };
}

let hush;

/** A track without sound, for whoever has no microphone: the server hears that somebody is there. */
export function silence() {
  hush ??= audioContext().createMediaStreamDestination().stream.getAudioTracks()[0];
  return hush;
}

const TUNES = { come: [523, 784], go: [659, 440], message: [880], hand: [587, 880] };
const NOTE_S = 0.11;

/** A short sound, where they are wanted. */
export function play(tune) {
  if (recall("sounds", "on") !== "on" || !window.AudioContext) return;
  const audio = audioContext();
  if (audio.state !== "running") return;
  TUNES[tune].forEach((hz, number) => {
    const begin = audio.currentTime + 0.02 + number * NOTE_S;
    const tone = new OscillatorNode(audio, { frequency: hz });
    const gain = new GainNode(audio, { gain: 0 });
    gain.gain.setTargetAtTime(0.05, begin, 0.01);
    gain.gain.setTargetAtTime(0, begin + NOTE_S * 0.7, 0.04);
    tone.connect(gain).connect(audio.destination);
    tone.start(begin);
    tone.stop(begin + NOTE_S * 4);
  });
}
