/** The conversation formats of the three models. */
export { type ChameleonTemplateOptions, luminaRequest, renderChameleon } from './chameleon';
export { JANUS_SYSTEM, renderJanus } from './janus';
export {
  ChatFormatError,
  type ChatMessage,
  type ContentPart,
  type EncodedPart,
  encodePrompt,
  type PromptPart,
  promptText,
} from './message';
export { renderShowo, SHOWO_SYSTEM, showoAnswer, type ShowoPrompt, showoQuestion } from './showo';
