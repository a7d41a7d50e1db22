#!/usr/bin/env python3
"""Plants one fault at a time in an empty tree: floors.py must find each, and must not cry wolf."""

import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True  # nothing is left in the source tree
import floors  # noqa: E402

FAULTS = {  # file: what stands in it
    "include/levee/core/a.hpp": "#include <levee/local/local_cache.hpp>\n",
    "include/levee/core/detail/a.hpp": "#include <levee/cache/cache.hpp>\n",
    "include/levee/local/b.hpp": "#include <levee/monitor/histogram.hpp>\n",
    "include/levee/local/c.hpp": '#include "levee/async/runtime.hpp"\n',
    "src/local/d.cpp": '#include "cache/flight.hpp"\n',
    "src/local/e.cpp": '#include "../monitor/cells.hpp"\n',
    "include/levee/monitor/f.hpp": "#include <boost/asio/io_context.hpp>\n",
    "src/balance/g.cpp": "#  include <asio.hpp>\n",
    "include/levee/cache/h.hpp": "inline void f() { asio::steady_timer t(e); }\n",
    "src/pool/i.cpp": "#include <boost/asio/system_timer.hpp>\n",
    "include/levee/sqlite/j.hpp": "#include <sqlite3.h>\n",
    "include/levee/redis/k.hpp": "#include <hiredis/hiredis.h>\n",
    "include/levee/postgres/l.hpp": "#include <libpq-fe.h>\n",
    "src/cache/m.cpp": "#include <sqlite3.h>\n",
    "src/core/n.cpp": "volatile int flag;\n",
    "src/async/o.cpp": "void f() { std::thread(g).detach(); }\n",
    "src/async/p.cpp": "void f() { std::this_thread::sleep_for(1s); }\n",
    "src/misc/q.cpp": "int x;\n",
    "src/redis/r.cpp": "#include <levee/postgres/pool.hpp>\n",
    "src/core/unguarded.hpp": "// #pragma once\nint f();\n",
}
FINE = {
    "include/levee/cache/a.hpp": "#include <boost/asio.hpp>\n#include <levee/local/local_cache.hpp>\n"
    "#include <levee/async/scheduler.hpp>\n#include <levee/cache/detail/x.hpp>\n",
    "include/levee/balance/b.hpp": "#include <levee/monitor/histogram.hpp>\n#include <levee/resilience/backoff.hpp>\n",
    "include/levee/levee.hpp": "#include <levee/redis/client.hpp>\n#include <levee/cache/cache.hpp>\n",
    "src/async/c.cpp": "#include <boost/asio/steady_timer.hpp>\nasio::steady_timer t;\n",
    "src/sqlite/d.cpp": '#include <sqlite3.h>\n#include "sqlite/statement.hpp"\n#include "statement.hpp"\n',
    "src/core/e.cpp": '// volatile, steady_timer, x.detach()\n/* this_thread::sleep_for\n volatile */ auto s = "volatile";\n'
    "constexpr int million = 1'000'000; // volatile\nint y = 2'000;\n",
    "src/core/g.cpp": "auto p = static_cast<const volatile void*>(object);\n",
    "src/async/f.cpp": "co_await scheduler.sleep_until(t); co_spawn(e, f(), asio::detached);\n",
}


def faults_in(files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            is_guarded = path.suffix == ".hpp" and path.stem != "unguarded"
            path.write_text("#pragma once\n" * is_guarded + text)
        return floors.check(root)


def main():
    wrong = [f"not found: {name}: {text.strip()}" for name, text in FAULTS.items() if len(faults_in({name: text})) != 1]
    wrong += [f"cries wolf: {fault}" for fault in faults_in(FINE)]
    if len(faults_in(FAULTS | FINE)) != len(FAULTS):
        wrong.append("planted together, some faults hide others")
    print("\n".join(wrong) if wrong else f"{len(FAULTS)} planted faults found")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
