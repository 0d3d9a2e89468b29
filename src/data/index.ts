/** Data sets as files: concept folders in UnifyBench++'s layout, CoRL's records. */
export { ConceptFileError, CONDITION_KEYS } from './concept-schema';
export type { ConceptConditions, ConceptConversations, ConceptInfo, ConceptTestItem } from './concept-schema';
export { listConcepts, readConcept, type ConceptFiles } from './concept-files';
export { readCorl, type CorlRecord } from './corl';
export {
  ChatEndpoint,
  ChatEndpointError,
  type ChatEndpointOptions,
  type ChatReply,
  type ChatRequest,
  type ChatUsage,
} from './chat-endpoint';
