// Drops records of level debug, and adds the language and the tag to all others.
//
// Go 1.24 or later:  GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o go.wasm .
// TinyGo 0.35 or later:  tinygo build -target=wasip1 -buildmode=c-shared -o tinygo.wasm .
package main

import (
	"strings"
	"unsafe"
)

// result keeps what was returned last: it is read before the next call.
var result []byte

//go:wasmexport filter
func filter(tag unsafe.Pointer, tagLen uint32, seconds uint32, nanoseconds uint32, record unsafe.Pointer, recordLen uint32) unsafe.Pointer {
	text := unsafe.String((*byte)(record), int(recordLen))
	if strings.Contains(text, `"level":"debug"`) {
		return nil
	}
	result = append(result[:0], text[:len(text)-1]...)
	if len(text) > 2 {
		result = append(result, ',')
	}
	result = append(result, `"lang":"Go","tag":"`...)
	result = append(result, unsafe.String((*byte)(tag), int(tagLen))...)
	result = append(result, "\"}\x00"...)
	return unsafe.Pointer(&result[0])
}

func main() {}
