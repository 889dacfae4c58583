// libcurl, loaded when the first request is made: it brings thirty libraries, which would cost
// every start of the program milliseconds that stores on disks never get back.
#pragma once
#include <curl/curl.h>

// Loads the library and prepares it, once; 0, or -1 with the reason in cu_load_error().
int cu_load(void);
const char *cu_load_error(void);

// The functions below may be called after cu_load() returned 0.
CURL *cu_new(void);
void cu_free(CURL *handle);
void cu_reset(CURL *handle);
CURLcode cu_perform(CURL *handle);
const char *cu_error_text(CURLcode code);
// The list with a copy of `line` at its end; NULL, and the list as it was, without memory.
struct curl_slist *cu_append(struct curl_slist *list, const char *line);
void cu_free_list(struct curl_slist *list);

// curl_easy_setopt and curl_easy_getinfo are variadic, which Swift cannot call; one function for
// each type that options have.
CURLcode cu_set_long(CURL *handle, CURLoption option, long value);
CURLcode cu_set_size(CURL *handle, CURLoption option, curl_off_t value);
CURLcode cu_set_string(CURL *handle, CURLoption option, const char *value);
CURLcode cu_set_pointer(CURL *handle, CURLoption option, void *value);
CURLcode cu_set_data_callback(CURL *handle, CURLoption option, curl_write_callback function);
CURLcode cu_set_seek_callback(CURL *handle, curl_seek_callback function);
CURLcode cu_set_progress_callback(CURL *handle, curl_xferinfo_callback function);
CURLcode cu_get_long(CURL *handle, CURLINFO info, long *value);
