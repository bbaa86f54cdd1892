/** Paints a mask over a picture of the input folder, and saves it beside it through the server. */

import { Dialog } from '@base-ui/react/dialog';
import {
  type KeyboardEvent,
  type PointerEvent,
  useCallback,
  useEffect,
  useRef,
  useState,
  type WheelEvent,
} from 'react';
import { type InputDef, isUpload, shapeOf } from '../doc/definitions';
import { nodeAt } from '../doc/document';
import {
  type Area,
  emptyMask,
  fill,
  invert,
  type Mask,
  MaskHistory,
  readAlpha,
  stroke,
  wholeOf,
  writeAlpha,
} from '../doc/mask';
import { clamp } from '../doc/numbers';
import { valuesOf } from '../doc/values';
import { uploadMask } from '../net/api';
import { complain, loadDefinitions } from '../net/run';
import { change, getDefinitions, getDoc } from '../state/documents';
import { openDialog, say } from '../state/view';
import { t } from '../words';

type Tool = 'brush' | 'eraser' | 'fill';
const TOOLS: readonly (readonly [Tool, string, string])[] = [
  ['brush', 'Brush', 'b'],
  ['eraser', 'Eraser', 'e'],
  ['fill', 'Fill', 'f'],
];
const OVERLAY = [255, 70, 90] as const;
const SHOWN_STRENGTH = 0.6;

/** The picture that a node takes: its field and the name in it. */
export function pictureOf(key: string): { readonly input: InputDef; readonly name: string } | null {
  const node = nodeAt(getDoc(), key);
  if (!node) return null;
  const shape = shapeOf(getDefinitions(), node);
  const input = shape.inputs.find(isUpload);
  const name = input && valuesOf(shape, node)[input.name];
  return input && typeof name === 'string' && name ? { input, name } : null;
}

/** `sub/name.png [output]` in parts. */
function partsOf(name: string): { filename: string; subfolder: string; type: string } {
  const [, path = name, type = 'input'] = /^(.*?)(?: \[(input|output|temp)\])?$/.exec(name) ?? [];
  const cut = path.lastIndexOf('/');
  return { filename: path.slice(cut + 1), subfolder: path.slice(0, Math.max(0, cut)), type };
}

export default function MaskEditor({ node }: { readonly node: string }) {
  const picture = pictureOf(node);
  const name = picture?.name ?? '';
  const [tool, setTool] = useState<Tool>('brush');
  const [radius, setRadius] = useState(24);
  const [hardness, setHardness] = useState(0.8);
  const [zoom, setZoom] = useState(1);
  const [size, setSize] = useState<readonly [number, number] | null>(null);
  const editor = useRef<HTMLDivElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const below = useRef<HTMLCanvasElement>(null);
  const above = useRef<HTMLCanvasElement>(null);
  const mask = useRef<Mask>(emptyMask(1, 1));
  const history = useRef(new MaskHistory());
  const last = useRef<readonly [number, number] | null>(null);

  const paint = useCallback((area: Area) => {
    const context = above.current?.getContext('2d', { willReadFrequently: true });
    if (context) draw(context, mask.current, area);
  }, []);

  useEffect(() => {
    const image = new Image();
    image.onload = () => {
      const { naturalWidth: width, naturalHeight: height } = image;
      mask.current = emptyMask(width, height);
      const reader = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d');
      reader?.drawImage(image, 0, 0);
      if (reader) readAlpha(mask.current, reader.getImageData(0, 0, width, height).data);
      const box = frame.current?.getBoundingClientRect();
      setZoom(Math.min(8, (box?.width ?? 600) / width, (box?.height ?? 400) / height));
      setSize([width, height]);
    };
    image.onerror = () => say(t('{{name}} cannot be read.', { name }), 'error');
    image.src = `./view?${new URLSearchParams({ filename: name, type: 'input' }).toString()}`;
  }, [name]);
  useEffect(() => {
    if (!size) return;
    const context = below.current?.getContext('2d');
    const image = new Image();
    image.onload = () => context?.drawImage(image, 0, 0);
    // the colours without the transparency, which is the mask
    image.src = `./view?${new URLSearchParams({ filename: name, type: 'input', channel: 'rgb' }).toString()}`;
    paint(wholeOf(mask.current));
  }, [size, name, paint]);

  useEffect(() => {
    editor.current?.focus();
  }, []);

  const place = (event: PointerEvent): readonly [number, number] => {
    const box = above.current?.getBoundingClientRect();
    return [(event.clientX - (box?.left ?? 0)) / zoom, (event.clientY - (box?.top ?? 0)) / zoom];
  };
  const touch = (event: PointerEvent): void => {
    const to = place(event);
    // a pen that is pressed lightly draws a thin line; a mouse says 0.5
    const pressure = event.pointerType === 'pen' ? Math.max(0.1, event.pressure * 2) : 1;
    const brush = { radius: Math.max(0.5, radius * pressure), hardness, erases: tool === 'eraser' };
    paint(stroke(mask.current, last.current ?? to, to, brush));
    last.current = to;
  };
  const start = (event: PointerEvent<HTMLCanvasElement>): void => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    history.current.keep(mask.current);
    if (tool === 'fill') {
      const [x, y] = place(event);
      paint(fill(mask.current, x, y));
    } else touch(event);
  };
  const move = (event: PointerEvent<HTMLCanvasElement>): void => {
    if (tool !== 'fill' && event.currentTarget.hasPointerCapture(event.pointerId)) touch(event);
  };
  const end = (): void => {
    last.current = null;
  };
  const all = (act: (mask: Mask) => unknown): void => {
    history.current.keep(mask.current);
    act(mask.current);
    paint(wholeOf(mask.current));
  };
  const step = (back: boolean): void => {
    if (back ? history.current.undo(mask.current) : history.current.redo(mask.current)) paint(wholeOf(mask.current));
  };
  const press = (event: KeyboardEvent): void => {
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && (key === 'z' || key === 'y')) step(key === 'z' && !event.shiftKey);
    else if (event.ctrlKey || event.metaKey || event.target instanceof HTMLInputElement) return;
    else if (key === '[') setRadius((now) => Math.max(1, Math.round(now / 1.25)));
    else if (key === ']') setRadius((now) => Math.min(512, Math.round(now * 1.25) + 1));
    else if (key === 'i') all(invert);
    else {
      const found = TOOLS.find(([, , wanted]) => wanted === key);
      if (!found) return;
      setTool(found[0]);
    }
    event.preventDefault();
  };
  const turn = (event: WheelEvent): void => {
    setZoom((now) => Number(clamp(now * (event.deltaY < 0 ? 1.15 : 1 / 1.15), 0.05, 32)));
  };
  const save = async (): Promise<void> => {
    if (!size || !picture) return;
    try {
      const canvas = Object.assign(document.createElement('canvas'), { width: size[0], height: size[1] });
      canvas.getContext('2d')?.putImageData(new ImageData(writeAlpha(mask.current), size[0], size[1]), 0, 0);
      const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, 'image/png'));
      if (!blob) throw new Error(t('The mask cannot be written as a picture.'));
      const original = partsOf(picture.name);
      const stem = original.filename.replace(/\.[^.]+$/, '').replace(/-mask(-\d+)?$/, '');
      const stored = await uploadMask(new File([blob], `${stem}-mask.png`, { type: 'image/png' }), original);
      await loadDefinitions();
      change({ kind: 'value', node, name: picture.input.name, value: stored });
      openDialog(null);
      say(t('The mask is saved as {{name}}.', { name: stored }));
    } catch (error) {
      complain(error);
    }
  };
  const style = size ? { width: size[0] * zoom, height: size[1] * zoom } : undefined;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys of the buttons in it
    <div className="mask-editor" onKeyDown={press} ref={editor} tabIndex={-1}>
      <Dialog.Title>{t('Mask of {{name}}', { name })}</Dialog.Title>
      <div className="tools" role="toolbar" aria-label={t('Tools')}>
        {TOOLS.map(([each, words, key]) => (
          <button
            key={each}
            type="button"
            className="button small"
            aria-pressed={tool === each}
            title={`${t(words)} (${key.toUpperCase()})`}
            onClick={() => setTool(each)}
          >
            {t(words)}
          </button>
        ))}
        <label>
          {t('Size')}
          <input
            type="range"
            min={1}
            max={256}
            value={radius}
            aria-label={t('Size of the brush')}
            onChange={(event) => setRadius(Number(event.target.value))}
          />
        </label>
        <label>
          {t('Hardness')}
          <input
            type="range"
            min={0}
            max={1}
            step={0.05}
            value={hardness}
            aria-label={t('Hardness of the brush')}
            onChange={(event) => setHardness(Number(event.target.value))}
          />
        </label>
        <button type="button" className="button small" onClick={() => all((each) => each.strength.fill(255))}>
          {t('Fill all')}
        </button>
        <button type="button" className="button small" onClick={() => all((each) => each.strength.fill(0))}>
          {t('Clear')}
        </button>
        <button type="button" className="button small" onClick={() => all(invert)}>
          {t('Invert')}
        </button>
        <button type="button" className="button small" onClick={() => step(true)}>
          {t('Undo')}
        </button>
        <button type="button" className="button small" onClick={() => step(false)}>
          {t('Redo')}
        </button>
        <button type="button" className="button small" onClick={() => setZoom(zoom * 1.25)}>
          {t('Zoom in')}
        </button>
        <button type="button" className="button small" onClick={() => setZoom(zoom / 1.25)}>
          {t('Zoom out')}
        </button>
      </div>
      <div className="mask-frame" ref={frame} onWheel={turn}>
        <div className="mask-stage" style={style}>
          <canvas ref={below} width={size?.[0]} height={size?.[1]} />
          <canvas
            ref={above}
            className="mask-paint"
            role="img"
            aria-label={t('The mask, over the picture')}
            width={size?.[0]}
            height={size?.[1]}
            onPointerDown={start}
            onPointerMove={move}
            onPointerUp={end}
            onPointerCancel={end}
          />
        </div>
      </div>
      <div className="dialog-buttons">
        <Dialog.Close className="button">{t('Cancel')}</Dialog.Close>
        <button type="button" className="button primary" disabled={!size} onClick={() => void save()}>
          {t('Save the mask')}
        </button>
      </div>
    </div>
  );
}

/** Draw a part of a mask as a coloured veil. */
function draw(context: CanvasRenderingContext2D, mask: Mask, [left, top, right, bottom]: Area): void {
  const [width, height] = [right - left, bottom - top];
  if (width <= 0 || height <= 0) return;
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const at = (row * width + column) * 4;
      pixels.set(OVERLAY, at);
      pixels[at + 3] = (mask.strength[(row + top) * mask.width + column + left] ?? 0) * SHOWN_STRENGTH;
    }
  context.putImageData(new ImageData(pixels, width, height), left, top);
}
