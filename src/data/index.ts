/**
 * Data sets as files: concept folders in UnifyBench++'s layout, CoRL's records, X-CoT; published sets as tasks, each of
 * which reads its files, says who scores it, and scores itself.
 */
export { ConceptFileError, CONDITION_KEYS } from './concept-schema';
export type { ConceptConditions, ConceptConversations, ConceptInfo, ConceptTestItem } from './concept-schema';
export { listConcepts, readConcept, type ConceptFiles } from './concept-files';
export { readMcotR1, readX2xRft, type X2xItem } from './corl-sets';
export {
  ChatEndpoint,
  ChatEndpointError,
  type ChatEndpointOptions,
  type ChatReply,
  type ChatRequest,
  type ChatUsage,
} from './chat-endpoint';
export { exactParts, buildXcot, type XcotError, type XcotParts, type XcotProgress } from './xcot-engine';
export { endpointParts } from './xcot-endpoint';
export { loadXcotRecord, readXcotLines, XcotFolderTask } from './xcot-folder';
export {
  evaluateXcot,
  type SubjectPair,
  type XcotExample,
  type XcotRecord,
  type XcotRecordsOf,
  type XcotTask,
} from './xcot';
export { sampleXcot, STRUCTURES, type Structure } from './xcot-sample';
export { type DreamBenchSubject, dreamBenchPrompt, dreamBenchTask, readDreamBench } from './dreambench';
export { askModel } from './ask-model';
export { type Protocol, SUBJECT_MODES, type SubjectMode } from './protocol';
export type { Ask, Benchmark, BenchmarkItem, Column, ItemScore, Outputs, ScoredItem } from './benchmark';
export { type BenchmarkExample, BenchmarkTask } from './benchmark-task';
export { cocoTask } from './coco-captions';
export { meanByCluster, meanColumn, meanOfMeans, ruleColumn } from './columns';
export { ConceptFolderTask } from './concept-folder';
export { CorlFiles } from './corl-task';
export { dpgTask } from './dpg-bench';
export { dreamBenchPlusTask } from './dreambench-plus';
export { type Fit, fitImage, FITS } from './fit-image';
export { genEvalTask } from './geneval';
export type { ChatJudge, ColorNamer, DetectedObject, ImageScorer, JudgedImage, ObjectDetector } from './judges';
export { kontextTask } from './kontext-bench';
export { mcLlavaTask } from './mc-llava';
export { mmmuTask } from './mmmu';
export { subjects200kTask } from './subjects200k';
export { t2iCompTask } from './t2i-compbench';
export { unifyTask } from './unify-benchmark';
export { unisonTask } from './unison';
export { UNDERSTANDING_RULES, vlmEvalKitTask } from './vlmevalkit';
export { wiseTask } from './wise';
export { yoLlavaTask } from './yollava';
