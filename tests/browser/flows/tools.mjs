// What helps while working: properties, settings, forms, comparisons, sweeps, help.
import assert from 'node:assert/strict';
import * as on from '../page.mjs';

const values = async (page, id) => (await on.draft(page)).nodes.find((each) => each.id === id).widgets_values;

export default {
  async showsProperties(page) {
    await on.press(page, 'KSampler');
    const toolbox = page.getByRole('toolbar', { name: 'Selection' });
    await toolbox.getByRole('button', { name: 'Bypass' }).click();
    await page.keyboard.press('i');
    const panel = page.getByRole('complementary', { name: 'Properties' });
    assert.equal(await panel.getByRole('combobox', { name: 'Mode', exact: true }).inputValue(), '4');
    await panel.getByRole('combobox', { name: 'Mode', exact: true }).selectOption('0');
    await panel.getByRole('textbox', { name: 'Name', exact: true }).fill('The sampler');
    await panel.getByRole('combobox', { name: 'Colour', exact: true }).selectOption('#3f8a5a');
    await on.field(page, 'Properties of The sampler: steps').fill('9');
    await on.rest(page);
    const node = (await on.draft(page)).nodes.find((each) => each.id === 5);
    assert.deepEqual([node.title, node.color, node.mode, node.widgets_values[2]], ['The sampler', '#3f8a5a', 0, 9]);
    await on.press(page, 'The sampler');
    await on.shot(page, 'properties');
    await toolbox.getByRole('button', { name: 'Help' }).click();
    const help = page.getByRole('dialog');
    await help.getByRole('heading', { name: 'KSampler' }).waitFor();
    await help.getByText('latent_image', { exact: false }).first().waitFor();
    assert.ok((await help.locator('.description').textContent()).length > 20);
    await on.shot(page, 'help');
  },

  async weighsWords(page) {
    const text = on.field(page, 'Positive prompt: text');
    await text.fill('a red cat');
    await text.evaluate((each) => each.setSelectionRange(2, 5));
    await page.keyboard.press('Control+ArrowUp');
    await on.eventually(() => text.inputValue(), (now) => now === 'a (red:1.05) cat', 'the weight');
    await on.eventually(() => text.evaluate((each) => [each.selectionStart, each.selectionEnd].join()), (now) => now === '2,12', 'the mark');
    await page.keyboard.press('Control+ArrowUp');
    await on.eventually(() => text.inputValue(), (now) => now === 'a (red:1.1) cat', 'more weight');
    for (const wanted of ['a (red:1.05) cat', 'a red cat']) {
      await on.eventually(() => text.evaluate((each) => each.selectionEnd - each.selectionStart), (length) => length > 2, 'the mark');
      await page.keyboard.press('Control+ArrowDown');
      await on.eventually(() => text.inputValue(), (now) => now === wanted, wanted);
    }
  },

  async changesShortcutsAndSettings(page) {
    await page.keyboard.press('?');
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('searchbox', { name: 'Search commands' }).fill('Mute');
    await dialog.getByRole('button', { name: /^Shortcut of Mute/ }).click();
    await page.keyboard.press('Control+b'); // bypass has it
    await dialog.getByText('also: Bypass').waitFor();
    await dialog.getByRole('button', { name: /^Shortcut of Mute/ }).click();
    await page.keyboard.press('x');
    await on.shot(page, 'keys');
    await dialog.getByRole('tab', { name: 'General' }).click();
    await dialog.getByLabel('Links').selectOption('straight');
    await dialog.getByLabel('Show the map').uncheck();
    await on.shot(page, 'general');
    await page.keyboard.press('Escape');
    await page.locator('.map').waitFor({ state: 'detached' });
    await on.eventually(() => page.locator('.react-flow__edge-path').first().getAttribute('d'), (path) => !path.includes('C'), 'straight links');
    await on.press(page, 'KSampler');
    await page.keyboard.press('x');
    assert.equal((await on.draft(page)).nodes.find((each) => each.id === 5).mode, 2);
    await on.eventually(() => on.ask('settings/easel.editor'), (kept) => kept?.keys?.['edit.mute']?.[0] === 'X', 'the server\u2019s copy');
    await page.reload();
    await page.getByText('Ready', { exact: true }).waitFor();
    await on.press(page, 'KSampler');
    await page.keyboard.press('x'); // kept over a reload
    await on.eventually(async () => (await on.draft(page)).nodes.find((each) => each.id === 5).mode, (mode) => mode === 0, 'the shortcut');
    await on.ask('settings/easel.editor', { method: 'POST', body: '{}' }); // other flows start without
  },

  async carriesSettingsAway(page) {
    await page.keyboard.press('Control+,');
    const dialog = page.getByRole('dialog');
    const rows = dialog.locator('.settings-row');
    await dialog.getByLabel('Language').waitFor();
    assert.ok((await rows.count()) > 4);
    await dialog.getByRole('searchbox', { name: 'Search settings' }).fill('straight'); // one of the choices
    assert.equal(await rows.count(), 1);
    await dialog.getByLabel('Links').selectOption('straight');
    await dialog.getByRole('searchbox').fill('');
    const kept = JSON.parse(await on.downloaded(page, () => on.button(dialog, 'Export settings').click()));
    assert.equal(kept.linkStyle, 'straight');
    const give = (name, text) => dialog.getByLabel('Import settings').setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(text) });
    await on.button(dialog, 'All back to the start').click();
    await on.eventually(() => dialog.getByLabel('Links').inputValue(), (now) => now === 'curved', 'the first settings');
    await give('mine.json', JSON.stringify({ ...kept, minimap: false }));
    await on.eventually(() => dialog.getByLabel('Links').inputValue(), (now) => now === 'straight', 'what was kept');
    assert.equal(await dialog.getByLabel('Show the map').isChecked(), false);
    // what is no settings changes nothing
    for (const [name, text] of [['torn.json', '{"theme"'], ['a workflow.json', JSON.stringify(await on.draft(page))], ['list.json', '[]']]) {
      await give(name, text);
      await page.getByText(`${name} holds no settings.`).waitFor();
      assert.equal(await dialog.getByLabel('Links').inputValue(), 'straight');
    }
    await on.ask('settings/easel.editor', { method: 'POST', body: '{}' });
  },

  async speaksGerman(page) {
    await page.keyboard.press('Control+,');
    await page.getByLabel('Language').selectOption('de');
    await page.getByRole('heading', { name: 'Einstellungen' }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'de');
    await page.keyboard.press('Escape');
    await on.button(page, 'Ausführen').waitFor();
    await page.keyboard.press('q');
    await page.getByText('Nichts läuft.').or(page.getByText('Beendet')).first().waitFor();
    await on.shot(page, 'german');
    await page.reload();
    await page.getByText('Bereit', { exact: true }).waitFor();
    await on.ask('settings/easel.editor', { method: 'POST', body: '{}' });
  },

  async findsNodesAndModels(page) {
    await page.keyboard.press('Control+f');
    await page.getByRole('combobox', { name: 'Find a node in this workflow' }).fill('vae dec');
    await page.keyboard.press('Enter');
    await on.eventually(() => page.locator('.node.is-selected .node-title').allTextContents(), (names) => names.join() === 'VAE Decode', 'the found node');
    await on.rest(page);
    await page.keyboard.press('b');
    const panel = page.getByRole('complementary', { name: 'Models' });
    await panel.locator('summary', { hasText: /^standin.safetensors/ }).click();
    await panel.locator('details[open]').locator('dt, p.faint').first().waitFor();
    await on.shot(page, 'models');
    await panel.locator('details[open]').getByRole('button', { name: 'Add to the graph' }).click();
    const file = await on.draft(page);
    assert.equal(file.nodes.filter((each) => each.type === 'CheckpointLoaderSimple').length, 2);
    assert.equal(file.nodes.at(-1).widgets_values[0], 'standin.safetensors');
  },

  async fillsInAForm(page) {
    await page.keyboard.press('f');
    const panel = page.getByRole('complementary', { name: 'Form' });
    await on.field(page, 'Form: Positive prompt: text').fill('said in the form');
    await on.field(page, 'Form: KSampler: steps').fill('2');
    await on.field(page, 'Form: Empty Latent Image: width').fill('64');
    await on.field(page, 'Form: Empty Latent Image: height').fill('64');
    assert.deepEqual(await values(page, 2), ['said in the form']);
    await panel.getByRole('button', { name: 'Make the picture' }).click();
    await panel.locator('.form-result .thumb img').waitFor({ timeout: on.RUN_MS });
    await on.shot(page, 'form');
    await on.press(page, 'KSampler'); // choosing what the form shows
    await page.keyboard.press('i');
    await on.field(page, 'Show cfg of KSampler in the form').check();
    await on.rest(page);
    await page.keyboard.press('f');
    await on.field(page, 'Form: KSampler: cfg').waitFor();
    assert.equal(await panel.locator('.value-row').count(), 1);
    assert.deepEqual((await on.draft(page)).extra.easel.form, ['5.cfg']);
  },

  async fitsAPhone(page) {
    await page.setViewportSize({ width: 390, height: 844 });
    await on.field(page, 'Form: Positive prompt: text').fill('from a phone');
    await on.field(page, 'Form: KSampler: steps').fill('2');
    await on.field(page, 'Form: Empty Latent Image: width').fill('64');
    await on.field(page, 'Form: Empty Latent Image: height').fill('64');
    await on.button(page, 'Make the picture').click();
    await page.locator('.form-result .thumb img').waitFor({ timeout: on.RUN_MS });
    await on.shot(page, 'form');
    const views = page.getByRole('navigation', { name: 'Views' });
    await on.eventually(() => page.evaluate(() => document.documentElement.scrollWidth), (width) => width <= 390, 'a page as wide as the phone');
    for (const name of ['Queue', 'Pictures', 'Workflows']) {
      await views.getByRole('button', { name }).click();
      await page.locator('.side').waitFor();
      await on.shot(page, name.toLowerCase());
    }
    await views.getByRole('button', { name: 'Graph' }).click();
    await page.locator('.react-flow__node').first().waitFor();
    for (const name of ['Run', 'Easel menu']) {
      const box = await on.button(page, name).boundingBox();
      assert.ok(box && box.x >= 0 && box.x + box.width <= 390, name);
    }
  },

  async tellsWhatRanAndWhy(page) {
    await on.small(page);
    await on.field(page, 'KSampler: seed').fill('4711');
    await on.rest(page);
    await on.run(page);
    await page.keyboard.press('t');
    const panel = page.getByRole('complementary', { name: 'What ran, and why' });
    await panel.getByText('Nothing was changed since: another run would reuse all of it.').waitFor();
    assert.ok((await panel.locator('.timing li').count()) >= 5);
    await on.field(page, 'KSampler: cfg').fill('3');
    await panel.getByText(/If it ran now: [1-9]\d* to run, \d+ that depend on them/).waitFor();
    await on.shot(page, 'timing');
    await on.rest(page);
    await page.keyboard.press('Control+Enter');
    await panel.getByText(/3 nodes ran, [1-9]\d* were reused|nodes ran, [1-9]\d* were reused/).waitFor({ timeout: on.RUN_MS });
  },

  async sweepsValues(page) {
    await on.small(page);
    await on.rest(page);
    const before = await on.draft(page);
    await on.command(page, 'Sweep');
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Field: Down').selectOption({ label: 'KSampler (5): cfg' });
    await dialog.getByLabel('Values: Down').fill('3, x');
    await on.button(dialog, 'Run all').click();
    await dialog.getByRole('alert').getByText('“x” is no number').waitFor();
    await dialog.getByLabel('Values: Down').fill('3, 7');
    await dialog.getByLabel('Field: Across (if you like)').selectOption({ label: 'KSampler (5): steps' });
    await dialog.getByLabel('Values: Across (if you like)').fill('1..2:1');
    await on.button(dialog, 'Run all').click();
    await on.eventually(() => dialog.locator('.sweep-grid .thumb img').count(), (count) => count === 4, 'four pictures', on.RUN_MS);
    await on.shot(page, 'grid');
    const jobs = Object.values(await on.ask('history?max_items=4')).map((each) => each.prompt[2][5].inputs);
    assert.deepEqual(jobs.map(({ cfg, steps }) => [cfg, steps]).sort(), [[3, 1], [3, 2], [7, 1], [7, 2]]);
    await page.keyboard.press('Escape');
    assert.deepEqual(await on.draft(page), before); // the workflow itself is as it was
  },

  async comparesWorkflows(page) {
    await on.field(page, 'KSampler: steps').fill('12');
    await on.press(page, 'Negative prompt');
    await page.keyboard.press('Delete');
    await on.command(page, 'What changed since it was saved');
    const dialog = page.getByRole('dialog');
    const rows = await on.eventually(() => dialog.locator('tbody tr').allTextContents(), (all) => all.length === 3, 'three differences');
    assert.ok(rows.some((each) => each.includes('KSampler (5)') && each.includes('steps') && each.includes('25') && each.includes('12')), rows.join());
    assert.ok(rows.some((each) => each.includes('Negative prompt (3)') && each.includes('Node removed')), rows.join());
    await on.shot(page, 'diff');
    await dialog.getByRole('button', { name: 'Locate KSampler (5)' }).first().click();
    await on.node(page, 'KSampler').locator('.node.is-selected').or(page.locator('.node.is-selected')).first().waitFor();
  },

  async toursNewcomers(page) {
    const tour = page.getByRole('region', { name: 'A short tour' });
    for (const title of ['A node', 'A link', 'Run', 'Save']) {
      await tour.getByRole('heading', { name: title, exact: true }).waitFor();
      await on.shot(page, title.replace(' ', '-'));
      await tour.getByRole('button', { name: title === 'Save' ? 'Done' : 'Next' }).click();
    }
    await tour.waitFor({ state: 'detached' });
    await page.reload();
    await page.getByText('Ready', { exact: true }).waitFor();
    assert.equal(await tour.count(), 0);
    await on.ask('settings/easel.editor', { method: 'POST', body: '{}' });
  },

  /** The server has a checkpoint of this name. */
  async showsHostileNames(page) {
    const name = '<img src=x onerror=alert(1)>.safetensors';
    page.on('dialog', () => on.complaints.push('markup was run'));
    await on.field(page, 'Load Checkpoint: ckpt_name').selectOption({ label: name });
    await on.press(page, 'Load Checkpoint');
    await page.keyboard.press('F2');
    await on.field(page, 'Name of the node').fill('<b onclick=alert(2)>bold</b>');
    await page.keyboard.press('Enter');
    await page.locator('.node-title', { hasText: '<b onclick' }).waitFor();
    for (const key of ['i', 'o', 'b']) await page.keyboard.press(key);
    await page.locator('summary', { hasText: name }).click();
    await page.locator('details[open]').locator('dt, p.faint').first().waitFor();
    assert.equal(await page.locator('img[src="x"], .node b').count(), 0);
    await on.shot(page, 'names');
  },
};
