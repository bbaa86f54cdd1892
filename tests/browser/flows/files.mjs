// Opening, saving and keeping.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { deflateSync } from 'node:zlib';
import * as on from '../page.mjs';

/** The check sum of PNG chunks. */
function crc32(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return (sum ^ 0xffffffff) >>> 0;
}

export default {
  async keepsFiles(page) {
    for (const [place, path] of on.files.entries()) {
      if (place && place % 6 === 0) {
        await page.reload(); // a browser lets a page give out ten files in a row
        await page.locator('.tab.is-active').waitFor();
      }
      const text = readFileSync(path, 'utf8');
      await on.drop(page, basename(path), text);
      await page.locator('.tab.is-active', { hasText: basename(path).replace('.json', '') }).waitFor();
      assert.deepEqual(JSON.parse(await on.exported(page)), JSON.parse(text), path);
    }
    await on.shot(page, 'after');
  },

  async keepsUnknownNodes(page) {
    const text = `{"last_node_id":1,"last_link_id":0,"nodes":[{"id":1,"type":"<img src=x onerror=alert(1)>","pos":[0,0],"size":[300,120],"flags":{},"order":0,"mode":0,
      "title":"<b>bold</b>","inputs":[],"outputs":[{"name":"<i>","type":"WEIRD","links":[]}],"properties":{},"widgets_values":[18446744073709551615,{"deep":[null]}]}],
      "links":[],"groups":[{"title":"<u>group</u>","bounding":[-20,-60,400,260]}],"config":{},"extra":{"mystery":7},"version":0.4}`;
    await on.drop(page, 'alien.json', text);
    await page.getByText('The graph is kept as it is.').waitFor();
    assert.equal(await page.locator('.node-title').textContent(), '<b>bold</b>');
    assert.equal(await page.locator('.frame-title').textContent(), '<u>group</u>');
    await on.shot(page, 'missing');
    const written = await on.exported(page);
    assert.ok(written.includes('18446744073709551615'));
    assert.deepEqual(JSON.parse(written), JSON.parse(text));
  },

  async comesBack(page) {
    await on.field(page, 'Positive prompt: text').fill('kept over a reload');
    await on.rest(page);
    await page.keyboard.press('Alt+n');
    await page.keyboard.press('Control+k');
    await page.keyboard.press('Escape');
    await on.draft(page);
    await page.reload();
    await page.locator('.tab').nth(1).waitFor();
    await page.keyboard.press('Alt+PageUp');
    assert.equal(await on.field(page, 'Positive prompt: text').inputValue(), 'kept over a reload');
  },

  async savesToTheServer(page) {
    await on.field(page, 'Positive prompt: text').fill('kept on the server');
    await on.rest(page);
    await page.keyboard.press('Control+s');
    await page.getByLabel('Name; a folder is written with a slash').fill('mine/first try');
    await on.shot(page, 'dialog');
    await page.keyboard.press('Enter');
    await page.getByText('Saved as mine/first try.json.').waitFor();
    await on.tab(page, 'first try').waitFor();
    assert.equal(await page.locator('.dirty').count(), 0);
    assert.equal((await on.ask('userdata/workflows%2Fmine%2Ffirst%20try.json')).nodes.length, on.FIRST);

    await on.field(page, 'Positive prompt: text').fill('and changed');
    await page.locator('.dirty').waitFor();
    await page.keyboard.press('Control+s'); // it has a name now: no question
    await page.locator('.dirty').waitFor({ state: 'detached' });
    await page.keyboard.press('Alt+w');
    await page.keyboard.press('Alt+n');
    await page.keyboard.press('w');
    await page.getByRole('button', { name: 'mine/first try', exact: true }).click();
    await on.tab(page, 'first try').waitFor();
    assert.equal(await on.field(page, 'Positive prompt: text').inputValue(), 'and changed');

    await on.button(page, 'Rename mine/first try.json').click();
    await on.field(page, 'New name of mine/first try.json').fill('second');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'mine/second', exact: true }).waitFor();
    await on.tab(page, 'second').waitFor();
    await on.button(page, 'Delete mine/second.json').click();
    await page.getByText('What you save is listed here.').waitFor();
    assert.equal(await page.locator('.react-flow__node').count(), on.FIRST); // what is open stays open
    await on.shot(page, 'panel');
  },

  async keepsFavourites(page) {
    for (const name of ['kept/one', 'two']) await on.ask(`userdata/${encodeURIComponent(`workflows/${name}.json`)}`, { method: 'POST', body: JSON.stringify(await on.draft(page)) });
    await page.keyboard.press('w');
    const panel = page.getByRole('complementary', { name: 'Workflows' });
    const star = (path) => on.button(panel, `Favourite: ${path}`);
    const isOn = (path) => star(path).getAttribute('aria-pressed');
    const first = () => panel.locator('.jobs').first().locator('.link-button').allTextContents();
    await star('kept/one.json').click();
    await panel.getByRole('heading', { name: 'Favourites' }).waitFor();
    assert.deepEqual([await first(), await isOn('kept/one.json'), await isOn('two.json')], [['kept/one'], 'true', 'false']);
    await on.button(panel, 'Rename kept/one.json').click(); // it stays one under another name
    await on.field(panel, 'New name of kept/one.json').fill('best');
    await page.keyboard.press('Enter');
    await on.eventually(first, (names) => names.join() === 'kept/best', 'the new name');
    await on.eventually(() => on.ask('settings/easel.editor'), (kept) => kept?.starred?.join() === 'kept/best.json', 'the server\u2019s copy');
    await page.reload();
    await page.getByText('Ready', { exact: true }).waitFor();
    await page.keyboard.press('w');
    assert.equal(await isOn('kept/best.json'), 'true');
    await star('kept/best.json').click();
    await panel.getByRole('heading', { name: 'Favourites' }).waitFor({ state: 'detached' });
    for (const path of ['kept/best.json', 'two.json']) {
      await on.button(panel, `Delete ${path}`).click();
      await star(path).waitFor({ state: 'detached' });
    }
    await on.ask('settings/easel.editor', { method: 'POST', body: '{}' });
  },

  async startsFromTemplates(page) {
    await page.keyboard.press('w');
    const cards = page.locator('.templates .card');
    await on.eventually(() => cards.count(), (count) => count >= 3, 'the templates');
    await on.shot(page, 'templates');
    await page.getByRole('searchbox', { name: 'Search workflows' }).fill('img2');
    await on.eventually(() => cards.count(), (count) => count === 1, 'the one that was sought');
    assert.ok((await cards.first().locator('rect').count()) > 4); // its picture: the graph in the small
    await cards.first().click();
    await on.tab(page, 'img2img').waitFor();
    await on.node(page, 'Load Image').waitFor();
  },

  async exportsBothForms(page) {
    const file = JSON.parse(await on.exported(page));
    assert.deepEqual(file, await on.draft(page));
    const api = JSON.parse(await on.downloaded(page, () => on.command(page, 'Export for programs')));
    assert.equal(api[5].class_type, 'KSampler');
    assert.deepEqual(api[5].inputs.model, ['1', 0]);
    assert.equal(api[5].inputs.steps, 25);
    await on.drop(page, 'again.json', JSON.stringify(api)); // what was made for programs can be drawn again
    await on.tab(page, 'again').waitFor();
    assert.equal((await on.draft(page)).links.length, 9);
  },

  async opensPictures(page) {
    await on.small(page);
    await on.field(page, 'Positive prompt: text').fill('a picture that carries its recipe');
    await on.run(page);
    const name = (await on.ask('api/gallery?limit=1')).items[0].filename;
    for (const [type, query] of [['image/png', ''], ['image/webp', '&preview=webp;90']]) {
      const answer = await fetch(`${on.address}view?filename=${encodeURIComponent(name)}&type=output${query}`);
      const picture = Buffer.from(await answer.arrayBuffer()).toString('base64');
      const hasRecipe = type === 'image/png';
      await on.drop(page, `dropped.${type.slice(6)}`, picture, type);
      if (hasRecipe) {
        await on.tab(page, 'dropped').waitFor();
        assert.equal(await on.field(page, 'Positive prompt: text').inputValue(), 'a picture that carries its recipe');
      } else await page.getByText(/dropped.*webp is now an input of this workflow/).waitFor(); // a thumbnail carries none
    }
    on.complaints.length = 0; // the browser notes that the server found no workflow in the thumbnail
  },

  async opensPicturesOfAnotherProgram(page) {
    const told = 'a red cube\nNegative prompt: blurry\nSteps: 7, Sampler: Euler a, CFG scale: 5, Seed: 11, Size: 64x96, Model: standin';
    const chunk = (kind, body) => {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(body.length);
      const both = Buffer.concat([Buffer.from(kind, 'latin1'), body]);
      const tail = Buffer.alloc(4);
      tail.writeUInt32BE(crc32(both));
      return Buffer.concat([head, both, tail]);
    };
    const size = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
    const png = Buffer.concat([
      Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
      chunk('IHDR', size),
      chunk('tEXt', Buffer.from(`parameters\0${told}`, 'latin1')),
      chunk('IDAT', deflateSync(Buffer.from([0, 0]))),
      chunk('IEND', Buffer.alloc(0)),
    ]);
    await on.drop(page, 'other.png', png.toString('base64'), 'image/png');
    await on.tab(page, 'other').waitFor();
    const file = await on.draft(page);
    const sampler = file.nodes.find((each) => each.type === 'KSampler');
    assert.ok(sampler.widgets_values.includes(7) && sampler.widgets_values.includes(11));
    assert.ok(file.nodes.some((each) => each.widgets_values?.[0] === 'a red cube'));
  },
};
