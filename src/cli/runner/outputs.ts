/** What the kernel publishes, gathered as the outputs of notebook cells: streams joined, displays updated in place. */
import type { Message } from '../../../kernel-ext/protocol/messages';
import type { Cell, Output } from './notebook';

type DisplayOutput = Extract<Output, { data: unknown }>;

export class OutputCollector {
  private readonly displays = new Map<string, DisplayOutput[]>();
  private readonly clearing = new WeakSet<Cell>();

  /** Takes one published message of a cell. */
  take(cell: Cell, { header, content }: Message): void {
    switch (header.msg_type) {
      case 'execute_input':
        cell.execution_count = Number(content.execution_count);
        break;
      case 'stream':
        this.stream(cell, String(content.name), String(content.text));
        break;
      case 'display_data':
        this.add(cell, { output_type: 'display_data', ...bundle(content) }, displayId(content));
        break;
      case 'execute_result':
        this.add(
          cell,
          { output_type: 'execute_result', ...bundle(content), execution_count: Number(content.execution_count) },
          displayId(content),
        );
        break;
      case 'update_display_data':
        for (const output of this.displays.get(displayId(content) ?? '') ?? []) Object.assign(output, bundle(content));
        break;
      case 'clear_output':
        if (content.wait) this.clearing.add(cell);
        else cell.outputs = [];
        break;
      case 'error':
        this.add(cell, {
          output_type: 'error',
          ename: String(content.ename),
          evalue: String(content.evalue),
          traceback: (content.traceback as string[]) ?? [],
        });
        break;
    }
  }

  private stream(cell: Cell, name: string, text: string): void {
    this.clearIfAsked(cell);
    const last = cell.outputs.at(-1);
    if (last?.output_type === 'stream' && last.name === name) last.text += text;
    else cell.outputs.push({ output_type: 'stream', name, text });
  }

  private add(cell: Cell, output: Output, id?: string): void {
    this.clearIfAsked(cell);
    cell.outputs.push(output);
    if (id !== undefined && 'data' in output) this.displays.set(id, [...(this.displays.get(id) ?? []), output]);
  }

  private clearIfAsked(cell: Cell): void {
    if (this.clearing.delete(cell)) cell.outputs = [];
  }
}

function bundle(content: Message['content']): Pick<DisplayOutput, 'data' | 'metadata'> {
  // A widget lives as long as its kernel, which ends with the run: what stands for it is kept.
  const { 'application/vnd.jupyter.widget-view+json': _widget, ...data } = (content.data ??
    {}) as DisplayOutput['data'];
  return {
    data,
    metadata: (content.metadata ?? {}) as DisplayOutput['metadata'],
  };
}

function displayId(content: Message['content']): string | undefined {
  return (content.transient as { display_id?: string } | undefined)?.display_id;
}
