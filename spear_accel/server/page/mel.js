"use strict";
// A log-mel picture of samples, drawn while they come: one column for each hop.

class MelPicture {
  constructor(canvas, rate) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.context.clearRect(0, 0, canvas.width, canvas.height);
    this.size = 1024;
    this.hop = 256;
    this.bands = 80;
    this.left = new Float32Array(0);
    this.columns = [];
    this.window = Float32Array.from({ length: this.size }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / this.size));
    this.edges = MelPicture.edges(this.bands, rate, this.size);
  }

  static edges(bands, rate, size) {
    const mel = (hertz) => 2595 * Math.log10(1 + hertz / 700);
    const top = mel(rate / 2);
    return Array.from({ length: bands + 2 }, (_, n) => (700 * (10 ** ((top * n) / (bands + 1) / 2595) - 1) * size) / rate);
  }

  push(samples) {
    const all = new Float32Array(this.left.length + samples.length);
    all.set(this.left);
    all.set(samples, this.left.length);
    let at = 0;
    for (; at + this.size <= all.length; at += this.hop) this.columns.push(this.column(all.subarray(at, at + this.size)));
    this.left = all.slice(at);
    this.draw();
  }

  column(frame) {
    const power = MelPicture.power(frame.map((sample, n) => sample * this.window[n]));
    return Float32Array.from({ length: this.bands }, (_, band) => {
      const [low, middle, high] = this.edges.slice(band, band + 3);
      let sum = 1e-9;
      for (let bin = Math.floor(low); bin <= Math.ceil(high); bin++) {
        const weight = Math.min((bin - low) / (middle - low), (high - bin) / (high - middle));
        if (weight > 0 && bin < power.length) sum += weight * power[bin];
      }
      return Math.log10(sum);
    });
  }

  // Power spectrum by the fast Fourier transform, radix 2.
  static power(real) {
    const size = real.length, imaginary = new Float32Array(size);
    for (let from = 1, to = 0; from < size; from++) {
      let bit = size >> 1;
      for (; to & bit; bit >>= 1) to ^= bit;
      to ^= bit;
      if (from < to) [real[from], real[to]] = [real[to], real[from]];
    }
    for (let length = 2; length <= size; length <<= 1) {
      const angle = (-2 * Math.PI) / length, half = length >> 1;
      for (let start = 0; start < size; start += length) {
        for (let k = 0; k < half; k++) {
          const cos = Math.cos(angle * k), sin = Math.sin(angle * k), a = start + k, b = a + half;
          const re = real[b] * cos - imaginary[b] * sin, im = real[b] * sin + imaginary[b] * cos;
          [real[b], imaginary[b]] = [real[a] - re, imaginary[a] - im];
          [real[a], imaginary[a]] = [real[a] + re, imaginary[a] + im];
        }
      }
    }
    return Float32Array.from({ length: size / 2 }, (_, n) => real[n] ** 2 + imaginary[n] ** 2);
  }

  draw() {
    if (!this.columns.length) return;
    const image = new ImageData(this.columns.length, this.bands);
    this.columns.forEach((column, x) => column.forEach((value, band) => {
      const light = Math.max(0, Math.min(1, (value + 4) / 7)), at = 4 * ((this.bands - 1 - band) * this.columns.length + x);
      image.data.set([255 * Math.min(1, 1.6 * light), 255 * light ** 2, 255 * Math.min(1, 0.3 + 0.5 * light) * light, 255], at);
    }));
    const sheet = document.createElement("canvas");
    [sheet.width, sheet.height] = [this.columns.length, this.bands];
    sheet.getContext("2d").putImageData(image, 0, 0);
    this.context.drawImage(sheet, 0, 0, this.canvas.width, this.canvas.height);
  }
}
