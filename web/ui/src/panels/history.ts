/** The jobs that ended, asked for again when one has. */

import { useEffect, useState } from 'react';
import * as api from '../net/api';
import { outputPictures } from '../net/pictures';
import { readOutput, useRuns } from '../state/runs';

export function useHistory(): readonly api.PastJob[] {
  const turn = useRuns((state) => state.turn);
  const [jobs, setJobs] = useState<readonly api.PastJob[]>([]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the count says that something ended
  useEffect(() => {
    let isLate = false;
    const timer = setTimeout(
      () =>
        void Promise.all([api.history(), outputPictures()]).then(
          ([found, pictures]) => {
            there = new Set(pictures);
            if (!isLate) setJobs(found);
          },
          () => undefined,
        ),
      120,
    );
    return () => {
      isLate = true;
      clearTimeout(timer);
    };
  }, [turn]);
  return jobs;
}

let there: ReadonlySet<string> = new Set();
const isTop = (url: string): boolean => url.includes('type=output') && url.includes('subfolder=&');
/** The addresses of the pictures that a job made, without those that were deleted since. */
export const picturesOf = (job: api.PastJob): readonly string[] =>
  Object.values(job.outputs)
    .flatMap((each) => readOutput(each).images ?? [])
    .filter((each) => !isTop(each) || there.has(each));
