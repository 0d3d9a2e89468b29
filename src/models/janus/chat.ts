/** The conversation format that Janus-Pro was trained with, as text; a tokenizer makes ids of it. */
export { descriptionText, JANUS_SYSTEM, plainText, questionText, type QuestionText } from '../../text/chat/janus';
