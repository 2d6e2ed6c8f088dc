// An input with two events each time it is asked, the second after a cleaned-up answer with damage.
package main

import (
	"C"
	"time"
	"unsafe"

	"github.com/fluent/fluent-bit-go/input"
)

var (
	word  string
	calls int
)

//export FLBPluginRegister
func FLBPluginRegister(def unsafe.Pointer) int {
	return input.FLBPluginRegister(def, "ticker", "Ticks")
}

//export FLBPluginInit
func FLBPluginInit(plugin unsafe.Pointer) int {
	word = input.FLBPluginConfigKey(plugin, "word")
	return input.FLB_OK
}

//export FLBPluginInputCallback
func FLBPluginInputCallback(data *unsafe.Pointer, size *C.size_t) int {
	calls++
	if calls == 2 {
		return input.FLB_OK
	}
	packed := []byte{}
	for i := 0; i < 2; i++ {
		event := []any{input.FLBTime{Time: time.Unix(1700000000, 5)}, map[string]any{"word": word, "call": calls, "part": i}}
		one, err := input.NewEncoder().Encode(event)
		if err != nil {
			return input.FLB_ERROR
		}
		packed = append(packed, one...)
	}
	if calls == 3 {
		packed = append(packed, 0xc1)
	}
	*data = C.CBytes(packed)
	*size = C.size_t(len(packed))
	return input.FLB_OK
}

//export FLBPluginInputCleanupCallback
func FLBPluginInputCleanupCallback(data unsafe.Pointer) int {
	println("cleaned")
	return input.FLB_OK
}

//export FLBPluginExit
func FLBPluginExit() int {
	println("exit")
	return input.FLB_OK
}

func main() {}
