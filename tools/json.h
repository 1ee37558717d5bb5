/* SPDX-License-Identifier: GPL-2.0 */
/*
 * JSON output, a thin layer over json-c: values of 64 bits are strings with a
 * hexadecimal number, because readers that keep numbers as doubles lose the low bits
 * of anything above 2^53.
 */
#ifndef MSRGUARD_JSON_H
#define MSRGUARD_JSON_H

#include <stdbool.h>
#include <stdint.h>

struct json_object;

/** mg_json_object - a new object; mg_json_print() frees the outermost one */
struct json_object *mg_json_object(void);

/** mg_json_array - a new array, the value of @key in @object */
struct json_object *mg_json_array(struct json_object *object, const char *key);

/** mg_json_sub - a new object, the value of @key in @object */
struct json_object *mg_json_sub(struct json_object *object, const char *key);

/** mg_json_append - a new object at the end of @array */
struct json_object *mg_json_append(struct json_object *array);

/** mg_json_string - @value NULL gives null; bytes that are not ASCII become \\xNN */
void mg_json_string(struct json_object *object, const char *key, const char *value);
/** mg_json_hex - a 64-bit value, as a string */
void mg_json_hex(struct json_object *object, const char *key, uint64_t value);
/** mg_json_u32 - a number */
void mg_json_u32(struct json_object *object, const char *key, uint32_t value);
void mg_json_bool(struct json_object *object, const char *key, bool value);
void mg_json_null(struct json_object *object, const char *key);

/** mg_json_print - print to stdout, on one line or indented, and free */
void mg_json_print(struct json_object *object, bool one_line);

#endif /* MSRGUARD_JSON_H */
