// An output plugin: appends a line `time tag body` for each event to a file.
//
//	go build -buildmode=c-shared -o out_lines.so .
//	tailrace -e ./out_lines.so -i dummy -o lines -p path=events.txt
package main

import (
	"C"
	"encoding/json"
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/fluent/fluent-bit-go/output"
)

//export FLBPluginRegister
func FLBPluginRegister(def unsafe.Pointer) int {
	return output.FLBPluginRegister(def, "lines", "Appends a line for each event to a file")
}

//export FLBPluginInit
func FLBPluginInit(plugin unsafe.Pointer) int {
	path := output.FLBPluginConfigKey(plugin, "path")
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lines:", err)
		return output.FLB_ERROR
	}
	output.FLBPluginSetContext(plugin, file)
	return output.FLB_OK
}

//export FLBPluginFlushCtx
func FLBPluginFlushCtx(ctx, data unsafe.Pointer, length C.int, tag *C.char) int {
	file := output.FLBPluginGetContext(ctx).(*os.File)
	decoder := output.NewDecoder(data, int(length))
	for {
		ret, when, record := output.GetRecord(decoder)
		if ret != 0 {
			break
		}
		stamp, ok := when.(output.FLBTime)
		if !ok {
			stamp = output.FLBTime{Time: time.Now()}
		}
		body, err := json.Marshal(readable(record))
		if err != nil {
			return output.FLB_ERROR
		}
		line := fmt.Sprintf("%s %s %s\n", stamp.UTC().Format(time.RFC3339Nano), C.GoString(tag), body)
		if _, err := file.WriteString(line); err != nil {
			return output.FLB_RETRY
		}
	}
	return output.FLB_OK
}

// readable makes texts of bytes and of keys, as JSON wants them.
func readable(value any) any {
	switch value := value.(type) {
	case []byte:
		return string(value)
	case []any:
		for i := range value {
			value[i] = readable(value[i])
		}
		return value
	case map[any]any:
		body := make(map[string]any, len(value))
		for key, item := range value {
			body[fmt.Sprint(readable(key))] = readable(item)
		}
		return body
	}
	return value
}

//export FLBPluginFlush
func FLBPluginFlush(data unsafe.Pointer, length C.int, tag *C.char) int {
	return output.FLB_ERROR // never called: FLBPluginFlushCtx is there
}

//export FLBPluginExitCtx
func FLBPluginExitCtx(ctx unsafe.Pointer) int {
	if err := output.FLBPluginGetContext(ctx).(*os.File).Close(); err != nil {
		return output.FLB_ERROR
	}
	return output.FLB_OK
}

func main() {}
