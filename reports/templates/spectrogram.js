// Spectrograms: mel bands up to 8 kHz, 10 ms a column. A page from disk may not read its recordings, so pictures are
// drawn beforehand for it; on a web server and in a page of one file they are computed here.

const RATE = 16000, FFT = 512, WINDOW = 512, HOP = 160, BANDS = 80, FLOOR = -70;
const STOPS = [[0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122], [229, 80, 100], [251, 135, 97],
  [254, 194, 135], [252, 253, 191]];

// In place, radix 2 (Cooley and Tukey, 1965).
const transform = (real, imaginary) => {
  const size = real.length;
  for (let one = 1, other = 0; one < size; one += 1) {
    let bit = size >> 1;
    for (; other & bit; bit >>= 1) other ^= bit;
    other ^= bit;
    if (one < other) {
      [real[one], real[other]] = [real[other], real[one]];
      [imaginary[one], imaginary[other]] = [imaginary[other], imaginary[one]];
    }
  }
  for (let length = 2; length <= size; length <<= 1) {
    for (let start = 0; start < size; start += length) {
      for (let step = 0; step < length / 2; step += 1) {
        const angle = -2 * Math.PI * step / length;
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        const [low, high] = [start + step, start + step + length / 2];
        const re = real[high] * c - imaginary[high] * s;
        const im = real[high] * s + imaginary[high] * c;
        [real[high], imaginary[high]] = [real[low] - re, imaginary[low] - im];
        real[low] += re;
        imaginary[low] += im;
      }
    }
  }
};

// Slaney's mel scale: linear up to 1 kHz, logarithmic above; bands of equal area.
const melBands = () => {
  const mel = (hertz) => (hertz < 1000 ? hertz * 0.015 : 15 + 27 * Math.log(hertz / 1000) / Math.log(6.4));
  const hertz = (mels) => (mels < 15 ? mels / 0.015 : 1000 * Math.exp(Math.log(6.4) * (mels - 15) / 27));
  const edges = [...Array(BANDS + 2)].map((_, band) => hertz(mel(RATE / 2) * band / (BANDS + 1)));
  return [...Array(BANDS)].map((_, band) => {
    const [low, middle, high] = edges.slice(band, band + 3);
    return [...Array(FFT / 2 + 1)].map((__, bin) => [bin, bin * RATE / FFT])
      .map(([bin, at]) => [bin, Math.min((at - low) / (middle - low), (high - at) / (high - middle)) * 2 / (high - low)])
      .filter(([, weight]) => weight > 0);
  });
};

const drawn = (samples) => {
  const bands = melBands();
  const shape = Float32Array.from({length: WINDOW}, (_, at) => 0.5 - 0.5 * Math.cos(2 * Math.PI * at / WINDOW));
  const columns = Math.max(1, Math.floor((samples.length - WINDOW) / HOP) + 1);
  const levels = new Float32Array(columns * BANDS);
  let top = -Infinity;
  for (let column = 0; column < columns; column += 1) {
    const [real, imaginary] = [new Float32Array(FFT), new Float32Array(FFT)];
    for (let at = 0; at < WINDOW; at += 1) real[at] = (samples[column * HOP + at] || 0) * shape[at];
    transform(real, imaginary);
    bands.forEach((weights, band) => {
      const power = weights.reduce((sum, [bin, weight]) =>
        sum + weight * (real[bin] ** 2 + imaginary[bin] ** 2), 1e-10);
      levels[band * columns + column] = 10 * Math.log10(power);
      top = Math.max(top, levels[band * columns + column]);
    });
  }
  const canvas = make("canvas", {width: columns, height: BANDS});
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, BANDS);
  for (let band = 0; band < BANDS; band += 1) {
    for (let column = 0; column < columns; column += 1) {
      const level = Math.max(0, 1 - (levels[band * columns + column] - top) / FLOOR) * (STOPS.length - 1);
      const [from, to] = [STOPS[Math.floor(level)], STOPS[Math.min(Math.floor(level) + 1, STOPS.length - 1)]];
      const at = 4 * ((BANDS - 1 - band) * columns + column);
      for (let part = 0; part < 3; part += 1) image.data[at + part] = from[part] + (to[part] - from[part]) * (level % 1);
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
};

const bytesOf = async (src) => {
  if (src.startsWith("#")) {
    const {data} = await load(src.slice(1));
    return Uint8Array.from(atob(data), (character) => character.charCodeAt(0)).buffer;
  }
  if (location.protocol === "file:") {
    throw new Error("A page opened from disk may not read recordings, and no picture of this one was drawn beforehand. " +
      "Serve the run’s folder (python3 -m http.server) or make the page with --spectrograms.");
  }
  return (await fetch(src)).arrayBuffer();
};

const spectrogram = async (recording) => {
  const words = {"aria-label": `Spectrogram of ${recording.label}`, role: "img"};
  if (recording.picture) return make("img", {src: recording.picture, alt: words["aria-label"]});
  const decoder = new OfflineAudioContext(1, RATE, RATE);
  const canvas = drawn((await decoder.decodeAudioData(await bytesOf(recording.src))).getChannelData(0));
  for (const [name, value] of Object.entries(words)) canvas.setAttribute(name, value);
  return canvas;
};
