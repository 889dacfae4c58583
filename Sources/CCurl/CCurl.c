#include "CCurl.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

// The types of curl's own declarations, so that a change of them does not compile.
static struct {
    __typeof__(curl_global_init) *global_init;
    __typeof__(curl_easy_init) *init;
    __typeof__(curl_easy_cleanup) *cleanup;
    __typeof__(curl_easy_reset) *reset;
    __typeof__(curl_easy_perform) *perform;
    __typeof__(curl_easy_strerror) *strerror;
    __typeof__(curl_slist_append) *append;
    __typeof__(curl_slist_free_all) *free_all;
    CURLcode (*setopt)(CURL *, CURLoption, ...);
    CURLcode (*getinfo)(CURL *, CURLINFO, ...);
} curl;

static char load_error[256] = "";
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (!found && !load_error[0]) snprintf(load_error, sizeof load_error, "it has no %s", name);
    return found;
}

static void load(void) {
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *reason = dlerror();
        snprintf(load_error, sizeof load_error, "%s", reason ? reason : "unknown");
        return;
    }
    curl.global_init = symbol(library, "curl_global_init");
    curl.init = symbol(library, "curl_easy_init");
    curl.cleanup = symbol(library, "curl_easy_cleanup");
    curl.reset = symbol(library, "curl_easy_reset");
    curl.perform = symbol(library, "curl_easy_perform");
    curl.strerror = symbol(library, "curl_easy_strerror");
    curl.append = symbol(library, "curl_slist_append");
    curl.free_all = symbol(library, "curl_slist_free_all");
    curl.setopt = symbol(library, "curl_easy_setopt");
    curl.getinfo = symbol(library, "curl_easy_getinfo");
    if (load_error[0]) return;
    CURLcode code = curl.global_init(CURL_GLOBAL_DEFAULT);
    if (code) snprintf(load_error, sizeof load_error, "%s", curl.strerror(code));
}

int cu_load(void) {
    pthread_once(&once, load);
    return load_error[0] ? -1 : 0;
}

const char *cu_load_error(void) { return load_error; }

CURL *cu_new(void) { return curl.init(); }
void cu_free(CURL *handle) { curl.cleanup(handle); }
void cu_reset(CURL *handle) { curl.reset(handle); }
CURLcode cu_perform(CURL *handle) { return curl.perform(handle); }
const char *cu_error_text(CURLcode code) { return curl.strerror(code); }

struct curl_slist *cu_append(struct curl_slist *list, const char *line) {
    return curl.append(list, line);
}
void cu_free_list(struct curl_slist *list) { curl.free_all(list); }

CURLcode cu_set_long(CURL *handle, CURLoption option, long value) {
    return curl.setopt(handle, option, value);
}
CURLcode cu_set_size(CURL *handle, CURLoption option, curl_off_t value) {
    return curl.setopt(handle, option, value);
}
CURLcode cu_set_string(CURL *handle, CURLoption option, const char *value) {
    return curl.setopt(handle, option, value);
}
CURLcode cu_set_pointer(CURL *handle, CURLoption option, void *value) {
    return curl.setopt(handle, option, value);
}
CURLcode cu_set_data_callback(CURL *handle, CURLoption option, curl_write_callback function) {
    return curl.setopt(handle, option, function);
}
CURLcode cu_set_seek_callback(CURL *handle, curl_seek_callback function) {
    return curl.setopt(handle, CURLOPT_SEEKFUNCTION, function);
}
CURLcode cu_set_progress_callback(CURL *handle, curl_xferinfo_callback function) {
    return curl.setopt(handle, CURLOPT_XFERINFOFUNCTION, function);
}
CURLcode cu_get_long(CURL *handle, CURLINFO info, long *value) {
    return curl.getinfo(handle, info, value);
}
