import { readFileSync } from 'node:fs';
import { readDefinitions } from '../src/doc/definitions';
import { type Doc, readFile } from '../src/doc/document';
import { parseJson } from '../src/doc/json';

const ROOT = new URL('../../../', import.meta.url);
export const workflow = (name: string): string => readFileSync(new URL(`workflows/${name}`, ROOT), 'utf8');
export const everyRule = (): string => readFileSync(new URL('tests/graph/fixtures/every_rule.json', ROOT), 'utf8');

/** A small world: what the server of these tests offers. */
export const DEFINITIONS = readDefinitions({
  Loader: {
    input: { required: { name: [['a.safetensors', 'b.safetensors'], {}] } },
    output: ['MODEL', 'CLIP'],
    display_name: 'Load',
  },
  Encode: { input: { required: { text: ['STRING', { multiline: true }], clip: ['CLIP'] } }, output: ['CONDITIONING'] },
  Sampler: {
    input: {
      required: {
        model: ['MODEL'],
        seed: ['INT', { min: 0, max: 18446744073709551615n, control_after_generate: true }],
        steps: ['INT', { default: 20, min: 1 }],
        positive: ['CONDITIONING'],
      },
      optional: { again: ['LATENT'] },
    },
    output: ['LATENT'],
  },
  Any: { input: { required: { value: ['*'] } }, output: ['*'], output_node: true },
  Picture: { input: { required: { image: [[], { image_upload: true }] } }, output: ['IMAGE'] },
});

/** 1 Loader → 3 Sampler ← 2 Encode ← 1 */
export const CHAIN = `{"last_node_id": 9, "last_link_id": 5, "mystery": {"kept": [1, 2.5, 18446744073709551615]},
  "nodes": [
    {"id": 1, "type": "Loader", "pos": [0, 0], "size": {"0": 200, "1": 90}, "odd": true, "widgets_values": ["a.safetensors"],
     "outputs": [{"name": "MODEL", "type": "MODEL", "links": [1]}, {"name": "CLIP", "type": "CLIP", "links": [2]}]},
    {"id": 2, "type": "Encode", "pos": {"0": 300, "1": 0}, "widgets_values": ["a cat"], "inputs": [{"name": "clip", "type": "CLIP", "link": 2}], "outputs": [{"name": "CONDITIONING", "type": "CONDITIONING", "links": [3]}]},
    {"id": 3, "type": "Sampler", "pos": [600, 0], "widgets_values": [18446744073709551615, "fixed", 4],
     "inputs": [{"name": "model", "type": "MODEL", "link": 1}, {"name": "positive", "type": "CONDITIONING", "link": 3}], "outputs": [{"name": "LATENT", "type": "LATENT", "links": []}]},
    {"id": 4, "type": "FromAnotherWorld", "pos": [600, 400], "widgets_values": [{"deep": [1]}, null], "inputs": [], "outputs": []}
  ],
  "links": [[1, 1, 0, 3, 0, "MODEL"], [2, 1, 1, 2, 0, "CLIP"], [3, 2, 0, 3, 1, "CONDITIONING"], [7, 99, 0, 3, 1, "LOST"]],
  "groups": [{"title": "A group", "bounding": [0, 0, 100, 100], "x": 1}], "config": {}, "extra": {"ds": {"scale": 1}}, "version": 0.4}`;

export const chain = (): Doc => readFile(parseJson(CHAIN));
