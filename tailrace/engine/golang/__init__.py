"""Input and output plugins written in Go: shared objects made with the original's Go binding.

    go build -buildmode=c-shared -o my.so .

`load` opens such a file and registers the plugin in it under the name it gives. The C interface is that of
github.com/fluent/fluent-bit-go (2023-07-31) and of Fluent Bit 5.1.1.
"""

from tailrace.engine.golang.library import LibraryError, load

__all__ = ["LibraryError", "load"]
