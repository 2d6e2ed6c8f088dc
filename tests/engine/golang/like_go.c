/* A plugin with the C interface of one in Go, for tests without a Go compiler. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct definition { int type, proxy, flags; char *name, *description; };
struct api {
    const char *(*output_get_property)(const char *, void *);
    const char *(*input_get_property)(const char *, void *);
    void *(*output_metrics)(void *);
    void *(*input_metrics)(void *);
    void (*log_print)(int, const char *, int, const char *, ...);
    int (*input_log_check)(void *, int);
    int (*output_log_check)(void *, int);
};
struct context { void *remote; };
struct plugin { void *unused; struct api *api; void *instance; struct context *context; };
#ifdef PLAIN /* functions without a context */
#define FLUSH FLBPluginFlush
#define EXIT FLBPluginExit
#define CONTEXT
#define COMMA
#else
#define FLUSH FLBPluginFlushCtx
#define EXIT FLBPluginExitCtx
#define CONTEXT void *ctx
#define COMMA ,
#endif

struct state { char path[512]; int answer; int delay; };

static struct state *last;

int FLBPluginRegister(struct definition *def)
{
    def->type = 2;
    def->proxy = PROXY;
    def->name = strdup(NAME);
    def->description = strdup("As if it were Go");
    return 0;
}

static void put(struct state *state, const char *text, size_t size)
{
    FILE *file = fopen(state->path, "a");
    fwrite(text, 1, size, file);
    fclose(file);
}

int FLBPluginInit(struct plugin *plugin)
{
    struct state *state = calloc(1, sizeof(struct state));
    const char *path = plugin->api->output_get_property("Path", plugin->instance);
    const char *answer = plugin->api->output_get_property("answer", plugin->instance);
    const char *delay = plugin->api->output_get_property("delay", plugin->instance);
    if (path == NULL)
        return 0;
    snprintf(state->path, sizeof(state->path), "%s", path);
    state->answer = answer ? atoi(answer) : 1;
    state->delay = delay ? atoi(delay) : 0;
    if (plugin->api->output_log_check(plugin->instance, 3))
        plugin->api->log_print(3, __FILE__, __LINE__, "%s", "hello from C");
    plugin->context->remote = state;
    last = state;
    return 1;
}

int FLUSH(CONTEXT COMMA void *data, int size, char *tag)
{
#ifdef PLAIN
    struct state *state = last;
#else
    struct state *state = ctx;
#endif
    if (state->delay)
        usleep(state->delay * 1000);
    put(state, data, size);
    return state->answer;
}

int EXIT(CONTEXT)
{
#ifdef PLAIN
    put(last, "exit", 4);
#else
    put(ctx, "exit", 4);
#endif
    return 1;
}
