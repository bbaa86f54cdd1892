/** How jobs are told of: their names, their pictures, when and how long they ran. */

import type { Job } from '../net/api';
import { isPicture, nameOfPicture } from '../net/pictures';
import { useOutputFiles } from '../net/queries';
import { pictureUrl } from '../state/runs';
import { t } from '../words';

/** Jobs go by the start of their id: their numbers are places in the queue, and change. */
export const shortName = (id: string): string => t('job {{id}}', { id: id.slice(0, 8) });

/** The addresses of the pictures that a job made. */
export const picturesOf = (job: Job): readonly string[] =>
  (job.outputs ?? []).flatMap(({ filename, subfolder, type }) =>
    filename && isPicture(filename)
      ? [pictureUrl({ filename, subfolder: subfolder ?? '', type: type ?? 'output' })]
      : [],
  );

const isTop = (url: string): boolean => url.includes('type=output') && url.includes('subfolder=&');
/** The same, without those that were deleted since. */
export function usePicturesOf(): (job: Job) => readonly string[] {
  const { data: files } = useOutputFiles();
  const there = new Set(files ?? []);
  return (job) => picturesOf(job).filter((each) => !isTop(each) || there.has(nameOfPicture(each)));
}

/** When a job was made, and how long it ran. */
export function timesOf({ created, started, ended }: Job): string {
  const at = new Date(1000 * created).toLocaleString([], { dateStyle: 'short', timeStyle: 'medium' });
  return started && ended ? `${at} · ${(ended - started).toFixed(1)} s` : at;
}

const MEBI = 2 ** 20;
const GIBI = 2 ** 30;
/** Bytes for people. */
export const shownBytes = (bytes: number): string =>
  bytes >= GIBI ? `${(bytes / GIBI).toFixed(1)} GiB` : `${(bytes / MEBI).toFixed(bytes < 10 * MEBI ? 1 : 0)} MiB`;

export const STATES: Readonly<Record<string, string>> = {
  queued: 'waiting',
  running: 'running',
  succeeded: 'done',
  failed: 'failed',
  cancelled: 'stopped',
  ran: 'ran',
  reused: 'reused',
};
