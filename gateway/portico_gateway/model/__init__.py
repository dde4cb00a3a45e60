"""Which model, started how, and who waits for it.

    installed.py     is the extra `engine` there?
    options.py       the configuration as `load_engine`'s options
    chosen_adapter.py  the adapters that are loaded, and the one that answers
    machine.py       which machine this is
    bench_record.py  what `portico bench` found on it, and the executor that speaks for
    start.py         an engine in a thread, or in a process where that is safer
    lazy_engine.py   one that is started for the first question: `portico stdio`
    remote/          another server's model in the engine's place
    host.py          one that is served: loaded in the background, started again when it ends: `portico serve`
    pool.py          several that are: the others than the default one loaded on demand, within a bound on memory

Neither tools nor protocols are known here.
"""
