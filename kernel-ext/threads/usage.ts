/** What the kernel takes of its machine, as ipykernel tells it: JupyterLab shows it where jupyter-resource-usage is installed. */
import { cpus, freemem, hostname, totalmem } from 'node:os';
import type { Json } from '../protocol/messages';

/** Processor time until now, in milliseconds: this process's, and of all processors the busy and the whole one. */
function times() {
  const { user, system } = process.cpuUsage();
  let [busy, all] = [0, 0];
  for (const { times: one } of cpus()) {
    const sum = one.user + one.nice + one.sys + one.irq + one.idle;
    all += sum;
    busy += sum - one.idle;
  }
  return { own: (user + system) / 1000, busy, all, at: performance.now() };
}

/** Percent of a whole, 0 to 100 for one processor; 0 where no time has passed. */
function percent(part: number, whole: number): number {
  return whole > 0 ? Math.round((1000 * part) / whole) / 10 : 0;
}

export class Usage {
  private last = times();

  /** The content of a usage_reply. Shares of time are since the last request; memory is in bytes. */
  now(): Json {
    const { last } = this;
    const next = times();
    this.last = next;
    const [total, available] = [totalmem(), freemem()];
    return {
      hostname: hostname(),
      pid: process.pid,
      kernel_cpu: percent(next.own - last.own, next.at - last.at),
      kernel_memory: process.memoryUsage.rss(),
      cpu_count: cpus().length,
      host_cpu_percent: percent(next.busy - last.busy, next.all - last.all),
      host_virtual_memory: {
        total,
        available,
        free: available,
        used: total - available,
        percent: percent(total - available, total),
      },
    };
  }
}
