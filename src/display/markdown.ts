/** Markdown as a display. */
import { Display, type MimeBundle } from './bundle';
import { markdownRenderer } from './clean';
import { plainText } from './html';

/**
 * A view of Markdown text, as HTML in which nothing runs: notebooks take the Markdown of a cell's output for the
 * author's own and let its scripts and links run, and this text may be a model's. Its `text/plain` twin is the text.
 */
export function markdownView(text: string): Display {
  return new Display(plainText(text), async (): Promise<MimeBundle> => {
    const render = await markdownRenderer();
    // Markdown may have formulas, which other displays keep notebooks from setting.
    return { 'text/html': `<div class="mathjax_process">${render(text).markup}</div>` };
  });
}
