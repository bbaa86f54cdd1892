/** How a type looks: a hue and a shape, never the hue alone. */

export type Shape = 'square' | 'diamond' | 'circle' | 'rounded' | 'half' | 'triangle' | 'ring';

const LOOKS: Readonly<Record<string, readonly [string, Shape]>> = {
  MODEL: ['var(--hue-1)', 'square'],
  CONDITIONING: ['var(--hue-2)', 'diamond'],
  LATENT: ['var(--hue-3)', 'circle'],
  IMAGE: ['var(--hue-4)', 'rounded'],
  MASK: ['var(--hue-5)', 'half'],
  VAE: ['var(--hue-6)', 'triangle'],
  CLIP: ['var(--hue-7)', 'triangle'],
  INT: ['var(--hue-8)', 'circle'],
  FLOAT: ['var(--hue-8)', 'diamond'],
  STRING: ['var(--hue-8)', 'rounded'],
  BOOLEAN: ['var(--hue-8)', 'half'],
  COMBO: ['var(--hue-8)', 'square'],
  '*': ['var(--hue-0)', 'ring'],
};

/** Types of packs get one of the hues by their name, always the same. */
export function lookOf(type: string): readonly [string, Shape] {
  const known = LOOKS[type];
  if (known) return known;
  let sum = 0;
  for (const letter of type) sum = (sum * 31 + letter.charCodeAt(0)) % 997;
  return [`var(--hue-${(sum % 8) + 1})`, 'ring'];
}
