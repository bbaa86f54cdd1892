/** The workflow inside a picture: PNG text chunks and WebP EXIF, read without decoding pixels. */

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const MAX_TEXT = 32 * 2 ** 20; // characters a compressed chunk may unpack to

/** The texts of a picture by key (`workflow`, `prompt`, …); empty if it has none or is no PNG or WebP. */
export async function readTexts(file: Blob): Promise<Record<string, string>> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (PNG.every((each, place) => bytes[place] === each)) return pngTexts(bytes);
  if (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP') return webpTexts(bytes);
  return {};
}

const ascii = (bytes: Uint8Array, from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to));

async function pngTexts(bytes: Uint8Array): Promise<Record<string, string>> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Record<string, string> = {};
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const kind = ascii(bytes, at + 4, at + 8);
    const body = bytes.subarray(at + 8, Math.min(at + 8 + length, bytes.length));
    const zero = body.indexOf(0);
    const key = ascii(body, 0, Math.max(zero, 0));
    if (kind === 'tEXt' && zero > 0) found[key] ??= new TextDecoder('latin1').decode(body.subarray(zero + 1));
    if (kind === 'zTXt' && zero > 0) found[key] ??= await inflate(body.subarray(zero + 2), 'latin1');
    if (kind === 'iTXt' && zero > 0) {
      const language = body.indexOf(0, zero + 3);
      const start = body.indexOf(0, language + 1) + 1;
      const text = body.subarray(start);
      found[key] ??= body[zero + 1] === 1 ? await inflate(text, 'utf-8') : new TextDecoder().decode(text);
    }
    if (kind === 'IEND') break;
    at += 12 + length;
  }
  return found;
}

async function inflate(packed: Uint8Array, encoding: string): Promise<string> {
  const reader = new Blob([packed.slice()]).stream().pipeThrough(new DecompressionStream('deflate')).getReader();
  const decoder = new TextDecoder(encoding);
  let text = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += decoder.decode(part.value, { stream: true });
    if (text.length > MAX_TEXT) throw new Error('The text inside this picture is too large to be a workflow.');
  }
  return text;
}

function webpTexts(bytes: Uint8Array): Record<string, string> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 12; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at + 4, true);
    if (ascii(bytes, at, at + 4) === 'EXIF') return exifTexts(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length + (length % 2);
  }
  return {};
}

/** The ASCII tags of the first directory, each `key:text`. */
function exifTexts(chunk: Uint8Array): Record<string, string> {
  const exif = ascii(chunk, 0, 6) === 'Exif\0\0' ? chunk.subarray(6) : chunk;
  const found: Record<string, string> = {};
  if (exif.length < 8) return found;
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  const little = ascii(exif, 0, 2) === 'II';
  const start = view.getUint32(4, little);
  const count = start + 2 <= exif.length ? view.getUint16(start, little) : 0;
  for (let place = 0; place < count; place++) {
    const entry = start + 2 + 12 * place;
    if (entry + 12 > exif.length) break;
    if (view.getUint16(entry + 2, little) !== 2) continue; // not ASCII
    const size = view.getUint32(entry + 4, little);
    const offset = size <= 4 ? entry + 8 : view.getUint32(entry + 8, little);
    const text = new TextDecoder().decode(exif.subarray(offset, offset + size)).replace(/\0+$/, '');
    const colon = text.indexOf(':');
    if (colon > 0) found[text.slice(0, colon)] = text.slice(colon + 1);
  }
  return found;
}
