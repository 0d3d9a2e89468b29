/**
 * Replies to questions about code: tslab's, completed by what plain tslab leaves out of is_complete. The protocol counts
 * characters as Unicode does, in code points; JavaScript counts UTF-16 units, two for an emoji.
 */
import type { Executor } from 'tslab/dist/executor';
import { completeness } from '../compiler/completeness';
import { JupyterHandlerImpl } from '../process/tslab';
import type { Json } from '../protocol/messages';

/** The place in UTF-16 units of one in code points; what is beyond an end, or no number, is at that end. */
function unitsAt(code: string, points: number): number {
  let at = 0;
  for (let left = Math.trunc(points); left > 0 && at < code.length; left--)
    at += (code.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  return points === Infinity ? code.length : at;
}

/** The place in code points of one in UTF-16 units. */
function pointsAt(code: string, units: number): number {
  return [...code.slice(0, Math.max(0, units))].length;
}

export class Answers {
  private readonly handler: InstanceType<typeof JupyterHandlerImpl>;

  constructor(executor: Executor) {
    this.handler = new JupyterHandlerImpl(executor, false);
  }

  /** The content of a complete_reply. @param at the cursor, in code points */
  complete(code: string, at: number): Json {
    const answer = this.handler.handleComplete({ code, cursor_pos: unitsAt(code, at) });
    const place = (units: number): number => pointsAt(code, units);
    return { ...answer, cursor_start: place(answer.cursor_start), cursor_end: place(answer.cursor_end) };
  }

  /** The content of an inspect_reply. @param at the cursor, in code points */
  inspect(code: string, at: number): Json {
    return { ...this.handler.handleInspect({ code, cursor_pos: unitsAt(code, at), detail_level: 0 }) };
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
