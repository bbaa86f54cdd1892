/** What the server knows, for panels to show: asked for when it is looked at, kept, and asked for again when it changed. */

import {
  type InfiniteData,
  QueryClient,
  type UseInfiniteQueryResult,
  useInfiniteQuery,
  useQuery,
} from '@tanstack/react-query';
import type { JsonObject } from '../doc/json';
import { writeJson } from '../doc/json';
import * as api from './api';
import { readTemplate, savedFiles, templates } from './files';
import { modelFiles, modelFolders, modelTexts } from './models';
import { outputFiles } from './pictures';

/** What is asked for; `changed` names the ones that are no longer so. */
export type Topic = 'jobs' | 'pictures' | 'saved' | 'models' | 'machine';

export const queries = new QueryClient({
  defaultOptions: {
    // the server is often this very machine: without a network it answers all the same
    queries: { networkMode: 'always', retry: 1, staleTime: 30_000, refetchOnWindowFocus: false },
  },
});

/** Ask again for what is on the screen, and for the rest when it is looked at. */
export function changed(...topics: readonly Topic[]): void {
  for (const topic of topics) void queries.invalidateQueries({ queryKey: [topic] });
}

/** All pages of a list that comes in pages, one after the other. */
function inPages<T>(total: (page: T) => number, size: number) {
  return {
    initialPageParam: 0,
    getNextPageParam: (last: T, _: readonly T[], offset: number) =>
      offset + size < total(last) ? offset + size : undefined,
  };
}
export const pagesOf = <T>({ data }: UseInfiniteQueryResult<InfiniteData<T>>): readonly T[] => data?.pages ?? [];

const JOBS = 50;
/** Jobs that run, wait and have ended, without their nodes. */
export const useJobs = () =>
  useInfiniteQuery({
    queryKey: ['jobs', 'list'],
    queryFn: ({ pageParam }) => api.jobs(pageParam, JOBS),
    ...inPages<api.JobPage>((page) => page.total, JOBS),
  });
/** One job with its nodes; none while there is no id. */
export const useJob = (id: string | undefined) =>
  useQuery({ queryKey: ['jobs', 'one', id], queryFn: () => api.job(id ?? ''), enabled: id !== undefined });

const PICTURES = 100;
/** The pictures that jobs made, newest first, or those in the trash folder; `words` are sought in their prompts. */
export const usePictures = (words: string, trash: boolean) =>
  useInfiniteQuery({
    queryKey: ['pictures', 'list', words, trash],
    queryFn: ({ pageParam: offset }) => api.pictures({ prompt: words, trash, offset, limit: PICTURES }),
    placeholderData: (before) => before,
    ...inPages<api.PicturePage>((page) => page.total, PICTURES),
  });
/** The names of the files in the output folder itself, whoever put them there. */
export const useOutputFiles = () => useQuery({ queryKey: ['pictures', 'files'], queryFn: outputFiles });

export const useSaved = () => useQuery({ queryKey: ['saved'], queryFn: savedFiles });
/** The templates with their texts. */
export const useTemplates = () =>
  useQuery({
    queryKey: ['templates'],
    queryFn: async () =>
      Promise.all(
        (await templates()).map(async ([pack, name]) => ({ pack, name, text: await readTemplate(pack, name) })),
      ),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const useModelFolders = () => useQuery({ queryKey: ['models', 'folders'], queryFn: modelFolders });
export const useModelFiles = (folder: string) =>
  useQuery({ queryKey: ['models', 'files', folder], queryFn: () => modelFiles(folder) });
/** What is known of a model file, and the texts inside it. */
export const useModel = (folder: string, name: string, isWanted: boolean) =>
  useQuery({
    queryKey: ['models', 'one', folder, name],
    queryFn: async () => ({ info: await api.modelInfo(folder, name), texts: await modelTexts(folder, name) }),
    enabled: isWanted,
  });

const LOOK_MS = 15_000;
/** The devices and their memory. */
export const useDevices = () =>
  useQuery({ queryKey: ['machine', 'devices'], queryFn: api.devices, refetchInterval: LOOK_MS });

/** What would become of each node if the workflow ran now; asked anew after every job. */
export function usePrediction(workflow: JsonObject, turn: unknown) {
  return useQuery({
    queryKey: ['predict', writeJson(workflow), turn],
    queryFn: () => api.predict(workflow),
    gcTime: 0,
    retry: false, // it is refused while something is missing, and that is an answer
    placeholderData: (before) => before,
  });
}
