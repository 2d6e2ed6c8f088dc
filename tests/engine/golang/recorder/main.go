// An output that writes what it is given to a file, and answers as its options say.
package main

import (
	"C"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/fluent/fluent-bit-go/output"
)

type recorder struct {
	path    string
	name    string
	answers string
	delay   time.Duration
	calls   int
	lock    sync.Mutex
}

func (r *recorder) write(line string) {
	file, err := os.OpenFile(r.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	fmt.Fprintln(file, line)
}

//export FLBPluginRegister
func FLBPluginRegister(def unsafe.Pointer) int {
	return output.FLBPluginRegister(def, "recorder", "Writes down what it gets")
}

//export FLBPluginInit
func FLBPluginInit(plugin unsafe.Pointer) int {
	r := &recorder{
		path:    output.FLBPluginConfigKey(plugin, "path"),
		name:    output.FLBPluginConfigKey(plugin, "NAME_of_it"),
		answers: output.FLBPluginConfigKey(plugin, "answers"),
	}
	r.delay, _ = time.ParseDuration(output.FLBPluginConfigKey(plugin, "delay"))
	if r.path == "" {
		return output.FLB_ERROR
	}
	if output.FLBPluginConfigKey(plugin, "take_signals") != "" {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM, syscall.SIGINT)
	}
	output.FLBPluginSetContext(plugin, r)
	return output.FLB_OK
}

//export FLBPluginFlush
func FLBPluginFlush(data unsafe.Pointer, length C.int, tag *C.char) int {
	return output.FLB_ERROR
}

//export FLBPluginFlushCtx
func FLBPluginFlushCtx(ctx, data unsafe.Pointer, length C.int, tag *C.char) int {
	r := output.FLBPluginGetContext(ctx).(*recorder)
	time.Sleep(r.delay)
	r.lock.Lock()
	defer r.lock.Unlock()
	answer := output.FLB_OK
	if r.calls < len(r.answers) {
		switch r.answers[r.calls] {
		case 'r':
			answer = output.FLB_RETRY
		case 'e':
			answer = output.FLB_ERROR
		}
	}
	r.calls++
	decoder := output.NewDecoder(data, int(length))
	for {
		ret, when, record := output.GetRecord(decoder)
		if ret != 0 {
			break
		}
		body := map[string]any{}
		for key, value := range record {
			if text, ok := value.([]byte); ok {
				value = string(text)
			}
			body[fmt.Sprint(key)] = value
		}
		text, _ := json.Marshal(body)
		stamp := when.(output.FLBTime)
		r.write(fmt.Sprintf("%s %d %s %d.%09d %s", r.name, answer, C.GoString(tag), stamp.Unix(), stamp.Nanosecond(), text))
	}
	return answer
}

//export FLBPluginExitCtx
func FLBPluginExitCtx(ctx unsafe.Pointer) int {
	r := output.FLBPluginGetContext(ctx).(*recorder)
	r.write(r.name + " exit")
	return output.FLB_OK
}

//export FLBPluginUnregister
func FLBPluginUnregister(def unsafe.Pointer) {
	output.FLBPluginUnregister(def)
}

func main() {}
