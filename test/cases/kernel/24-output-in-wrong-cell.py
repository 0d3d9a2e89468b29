#!/usr/bin/env python3
import os, sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))
from client import Kernel, verdict

with Kernel() as k:
    first = k.run("let n = 0; const t = setInterval(() => console.log('tick', ++n), 100); 'started'")['request']
    second = k.run("const from = n; while (n < from + 3) await new Promise(r => setTimeout(r, 20)); clearInterval(t); console.log('second cell')")
ticks = [parent for kind, content, parent in second['messages'] if kind == 'stream' and 'tick' in content['text']]
verdict([('what a timer of the first cell prints belongs to the first cell', ticks and all(p == first for p in ticks),
          '%d of %d messages belong to the second' % (sum(p != first for p in ticks), len(ticks)))])
