/** Suites: the papers' tables on a model, a folder and judges. */
import { corlGenerationSuite } from './corl-generation';
import { corlUnderstandingSuite } from './corl-understanding';
import { dreambenchSuite } from './dreambench';
import { kontextSuite } from './kontext';
import type { Suite } from './suite';
import { unifybenchSuite } from './unifybench';

export { type JudgeOptions, type LoadedJudges, loadJudges, SCORER_FOLDERS } from './judges';
export { ModelFolder, type ModelSource } from './model-source';
export { type NearestSubjects, nearestNeighborShare, nearestSubjects } from './nearest';
export * from './present';
export { compareFolders, reportMarkdown, reportOf, type SuiteReport, writeReport } from './report';
export { readScored } from './run-files';
export * from './run-suite';
export { type InTurn } from './scorer';
export { type Keep, STAND_INS, type StandIn } from './stand-ins';
export {
  type LeftOutPart,
  type PaperColumns,
  type Suite,
  SuiteError,
  type SuiteGiven,
  type SuiteJudges,
  type SuiteParts,
} from './suite';
export * from './table';

/** By the name that `unilab eval` takes. */
export const SUITES: Readonly<Record<string, Suite>> = Object.fromEntries(
  [unifybenchSuite, dreambenchSuite, kontextSuite, corlGenerationSuite, corlUnderstandingSuite].map((one) => [
    one.name,
    one,
  ]),
);
