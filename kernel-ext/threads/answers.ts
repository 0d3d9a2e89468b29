/** Replies to questions about code: tslab's, completed by what plain tslab leaves out of is_complete. */
import type { Executor } from 'tslab/dist/executor';
import { completeness } from '../compiler/completeness';
import { JupyterHandlerImpl } from '../process/tslab';
import type { Json } from '../protocol/messages';

export class Answers {
  private readonly handler: InstanceType<typeof JupyterHandlerImpl>;

  constructor(executor: Executor) {
    this.handler = new JupyterHandlerImpl(executor, false);
  }

  /** The content of a complete_reply. @param at the cursor, in UTF-16 units */
  complete(code: string, at: number): Json {
    return { ...this.handler.handleComplete({ code, cursor_pos: at }) };
  }

  /** The content of an inspect_reply. */
  inspect(code: string, at: number): Json {
    return { ...this.handler.handleInspect({ code, cursor_pos: at, detail_level: 0 }) };
  }

  /** The content of an is_complete_reply. */
  isComplete(code: string): Json {
    const judged = completeness(code);
    if (judged === 'invalid') return { status: 'invalid' };
    const answer = this.handler.handleIsComplete({ code });
    // tslab knows the indent, and that two empty lines mean "run it"; it does not know about open template strings.
    const forced = /\n\s*\n\s*$/.test(code);
    return judged === 'incomplete' && answer.status === 'complete' && !forced
      ? { status: 'incomplete', indent: '' }
      : { ...answer };
  }
}
