//go:build !tinygo

// Where the host puts tag and record. TinyGo exports these two functions itself; Go's own modules must.
package main

import "unsafe"

var kept = map[unsafe.Pointer][]byte{}

//go:wasmexport malloc
func malloc(size uint32) unsafe.Pointer {
	room := make([]byte, max(size, 1))
	pointer := unsafe.Pointer(&room[0])
	kept[pointer] = room
	return pointer
}

//go:wasmexport free
func free(pointer unsafe.Pointer) {
	delete(kept, pointer)
}
