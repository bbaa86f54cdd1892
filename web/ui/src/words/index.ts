/** Words in the language of the reader. The English text is the key, so that a text without a translation still reads. */

import i18next from 'i18next';
import { create } from 'zustand';

/** Languages there are: English needs no table, the others are loaded when they are chosen. */
const TABLES: Readonly<Record<string, () => Promise<{ default: Readonly<Record<string, string>> }>>> = {
  de: () => import('./de'),
};
export const LANGUAGES: Readonly<Record<string, string>> = { en: 'English', de: 'Deutsch' };

void i18next.init({
  lng: 'en',
  fallbackLng: false,
  keySeparator: false,
  nsSeparator: false,
  initAsync: false,
  interpolation: { escapeValue: false }, // React writes text as text
  resources: {},
  showSupportNotice: false,
} as Parameters<typeof i18next.init>[0]);

/** The language whose words are loaded: the editor is drawn anew when it changes. */
export const useLanguage = create<{ readonly language: string }>(() => ({ language: 'en' }));

/** A text in the chosen language; `{{name}}` in it is filled from `values`. */
export const t = (text: string, values?: Readonly<Record<string, string | number>>): string =>
  i18next.t(text, { ...values, defaultValue: text });

/** Choose a language; resolves when its words are there. An unknown one is English. */
export async function setLanguage(name: string): Promise<void> {
  const table = TABLES[name];
  if (table && !i18next.hasResourceBundle(name, 'translation'))
    i18next.addResourceBundle(name, 'translation', (await table()).default);
  await i18next.changeLanguage(table ? name : 'en');
  useLanguage.setState({ language: table ? name : 'en' });
  if (typeof document !== 'undefined') document.documentElement.lang = table ? name : 'en';
}
