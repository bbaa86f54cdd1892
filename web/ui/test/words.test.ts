import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { COMMANDS } from '../src/commands';
import { setLanguage, t } from '../src/words';
import de from '../src/words/de';

const SOURCES = join(import.meta.dirname, '../src');
/** Texts that are written where they are used: `t('…')` and `t(a ? '…' : '…')`. */
const USED = /\bt\(\s*(?:[^()'"`]*\?\s*)?'((?:[^'\\]|\\.)*)'(?:\s*:\s*'((?:[^'\\]|\\.)*)')?/g;

function texts(): ReadonlySet<string> {
  const found = new Set(COMMANDS.map((each) => each.title));
  for (const each of readdirSync(SOURCES, { recursive: true, withFileTypes: true })) {
    if (!each.isFile() || !/\.tsx?$/.test(each.name) || each.parentPath.endsWith('words')) continue;
    const source = readFileSync(join(each.parentPath, each.name), 'utf8');
    for (const [, first, second] of source.matchAll(USED))
      for (const text of [first, second]) if (text) found.add(text.replaceAll("\\'", "'"));
  }
  return found;
}

test('every text of the editor has its German words', () => {
  const all = texts();
  expect(all.size).toBeGreaterThan(250);
  expect([...all].filter((each) => !(each in de))).toEqual([]);
});

test('a translation fills in what its text does, and nothing else', () => {
  const places = (text: string): string[] => (text.match(/\{\{\w+\}\}/g) ?? []).sort();
  expect(Object.entries(de).filter(([text, words]) => places(text).join() !== places(words).join())).toEqual([]);
});

test('words change with the language, and a text without words stays as it is', async () => {
  expect(t('Close {{name}}', { name: '<b>' })).toBe('Close <b>');
  await setLanguage('de');
  expect(t('Close {{name}}', { name: '<b>' })).toBe('<b> schließen');
  expect(t('No such text. Really: none')).toBe('No such text. Really: none');
  await setLanguage('xx');
  expect(t('Ready')).toBe('Ready');
});
