/** Data sets as files: concept folders in UnifyBench++'s layout, CoRL's records. */
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
export { evaluateXcot, type SubjectPair, type XcotExample, type XcotRecord, type XcotTask } from './xcot';
export { sampleXcot, STRUCTURES, type Structure } from './xcot-sample';
export { type DreamBenchSubject, dreamBenchPrompt, readDreamBench } from './dreambench';
