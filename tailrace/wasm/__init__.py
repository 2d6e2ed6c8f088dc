"""Running WebAssembly modules inside limits: memory, stack, time, and only the folders they were given.

    engine.py     the compiler and its settings, one engine per instance
    program.py    a module from a file: compiled, cached, or ahead of time; what it exports
    aot.py        files of modules compiled ahead of time
    compiler.py   ahead of time, for this machine or another
    sandbox.py   what a module sees of the world, and how it begins
    driver.py     text of the small module that calls the user's function for a whole batch
    guest.py      one running module, and batches through it
    command.py    a program that runs to its end
    watchdog.py   ends calls that take too long
    faults.py     what went wrong, in a sentence

`wasmtime` is imported when the first module is opened.
"""
