/** What was last seen of each workflow. Not a store: nothing is drawn anew when it changes. */

export interface Viewport {
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
}

const viewports = new Map<string, Viewport>();

/** Remember what is seen of a tab; null: all of it. */
export function keepViewport(tab: string, viewport: Viewport | null): void {
  if (viewport) viewports.set(tab, viewport);
  else viewports.delete(tab);
}
export const viewportOf = (tab: string): Viewport | null => viewports.get(tab) ?? null;
