// Operations on arrays in code compiled by numba. An operation on operands of certain types has a table, in which the
// words that only the call knows (shapes, strides, axes) lead to what the call comes to: a new array or a given one,
// scratch memory, launches. What is not in the table Python adds; what is not to be done without looking at values
// Python does. Read by Cling only; nothing here throws, and no call that is in the table needs the GIL.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "native_calls.hpp"
#include "transfers.hpp"

namespace ca::native {

// The values of a call, as numba's code leaves them on its stack: operand k, an address or a scalar's bits as the
// kernel reads them, stands in the two words from `operands + 2 * k` on.
enum Value : std::uint64_t { nothing, output, scratch, operands };

// What Python is asked for; it returns whether it failed, and then holds the exception.
enum Question : int { find_call, do_call, no_memory, not_launched };
using AskPython = int(std::uint64_t table, int question, const std::int64_t* key, std::uint64_t* values, int code);

inline AskPython*& ask_python() noexcept {
  static AskPython* function = nullptr;
  return function;
}

constexpr std::size_t record_head = 10, head_words = 7, most_words = 512;  // of a launch record, see _runtime/glue.py

struct Step {
  std::vector<std::int64_t> record;  // a copy: whoever made it may forget it
  std::uint64_t sources[head_words];  // which value each word of the head is
};

// An operand that the output must not partly overlap: its value and, relative to it, the bytes [low, high).
struct Span {
  std::uint64_t value;
  std::int64_t low, high;
  bool same;  // of the output's own layout: element by element the same memory, if the addresses are equal
};

struct Entry {
  Entry* next = nullptr;  // of the same bucket
  std::vector<std::int64_t> key, extents;  // the result's shape and strides
  std::uint64_t bytes = 0, scratch_bytes = 0;
  bool by_python = false;
  std::int64_t low = 0, high = 0;  // of a given output
  std::vector<Span> spans;
  std::vector<Step> steps;
};

// Read by any number of threads, without a lock; written by whoever holds the GIL.
struct Table {
  static constexpr std::size_t buckets = 256, most_entries = 4096;

  std::uint64_t number, key_words, pool;
  std::atomic<std::uint64_t> readers{0};
  std::atomic<Entry*> recent{nullptr};
  std::atomic<Entry*> first[buckets] = {};
  std::vector<std::unique_ptr<Entry>> entries, forgotten;

  Table(std::uint64_t number, std::uint64_t key_words, std::uint64_t pool)
      : number(number), key_words(key_words), pool(pool) {}

  std::atomic<Entry*>& bucket(const std::int64_t* key) noexcept {
    std::uint64_t hash = 0;
    for (std::uint64_t k = 0; k < key_words; ++k) {
      hash = (hash ^ std::uint64_t(key[k])) * 0x9e3779b97f4a7c15ul;
      hash ^= hash >> 32;
    }
    return first[hash % buckets];
  }
  bool matches(const Entry& entry, const std::int64_t* key) const noexcept {
    for (std::uint64_t k = 0; k < key_words; ++k)
      if (entry.key[k] != key[k]) return false;
    return true;
  }
  // To be called, and the entry used, by a counted reader.
  const Entry* find(const std::int64_t* key) noexcept {
    Entry* entry = recent.load();
    if (entry && matches(*entry, key)) return entry;
    for (entry = bucket(key).load(); entry; entry = entry->next)
      if (matches(*entry, key)) {
        recent.store(entry);
        return entry;
      }
    return nullptr;
  }
  void add(std::unique_ptr<Entry> entry) {
    if (entries.size() >= most_entries) forget();
    if (!forgotten.empty() && readers.load() == 0) {  // nobody who could make a forgotten one the recent one
      recent.store(nullptr);
      if (readers.load() == 0) forgotten.clear();  // who is counted from here on finds none of them
    }
    std::atomic<Entry*>& place = bucket(entry->key.data());
    entry->next = place.load();
    entries.push_back(std::move(entry));
    place.store(entries.back().get());
  }
  void forget() {
    for (auto& place : first) place.store(nullptr);
    recent.store(nullptr);
    for (auto& entry : entries) forgotten.push_back(std::move(entry));
    entries.clear();
  }
};

// ---- for Python, with the GIL
inline void set_ask_python(unsigned long function) noexcept { ask_python() = reinterpret_cast<AskPython*>(function); }

inline unsigned long new_table(unsigned long number, unsigned long key_words, unsigned long pool) {
  return reinterpret_cast<unsigned long>(new Table(number, key_words, pool));
}
inline unsigned long count_entries(unsigned long table) noexcept {
  return reinterpret_cast<Table*>(table)->entries.size();
}

// `words`: the key; how many words of extents and they; bytes, scratch_bytes, by_python, low, high; how many spans and
// they (value, low, high, same); how many launches and they (the record's address, the sources of its head).
inline void add_entry(unsigned long table, unsigned long words) {
  Table& own = *reinterpret_cast<Table*>(table);
  const std::int64_t* word = reinterpret_cast<const std::int64_t*>(words);
  auto entry = std::make_unique<Entry>();
  entry->key.assign(word, word + own.key_words);
  word += own.key_words;
  const std::int64_t extents = *word++;
  entry->extents.assign(word, word + extents);
  word += extents;
  entry->bytes = *word++, entry->scratch_bytes = *word++, entry->by_python = *word++;
  entry->low = *word++, entry->high = *word++;
  for (std::int64_t left = *word++; left; --left, word += 4)
    entry->spans.push_back({std::uint64_t(word[0]), word[1], word[2], word[3] != 0});
  for (std::int64_t left = *word++; left; --left) {
    const std::int64_t* record = reinterpret_cast<const std::int64_t*>(*word++);
    Step step;
    step.record.assign(record, record + record_head + record[9]);
    for (std::uint64_t& source : step.sources) source = std::uint64_t(*word++);
    entry->steps.push_back(std::move(step));
  }
  own.add(std::move(entry));
}

// ---- for numba's code
inline int launch(const Step& step, const std::uint64_t* values, void* stream) noexcept {
  using LaunchKernel = int(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**,
                           void**);
  const std::int64_t* record = step.record.data();
  alignas(16) std::uint64_t parameter[head_words + most_words];
  for (std::size_t k = 0; k < head_words; ++k) parameter[k] = values[step.sources[k]];
  take_back(parameter, head_words, stream);
  std::memcpy(parameter + head_words, record + record_head, std::size_t(record[9]) * sizeof *record);
  void* params[] = {parameter};
  return reinterpret_cast<LaunchKernel*>(record[0])(
      reinterpret_cast<void*>(record[1]), unsigned(record[2]), unsigned(record[3]), unsigned(record[4]),
      unsigned(record[5]), unsigned(record[6]), unsigned(record[7]), unsigned(record[8]), stream, params, nullptr);
}

inline bool partly_overlaps(const Entry& entry, const std::uint64_t* values) noexcept {
  const std::int64_t own = std::int64_t(values[output]);
  for (const Span& span : entry.spans) {
    const std::int64_t other = std::int64_t(values[span.value]);
    if (!(span.same && own == other) && own + entry.low < other + span.high && other + span.low < own + entry.high)
      return true;
  }
  return false;
}

inline int follow(const Table& table, const Entry& entry, const std::int64_t* key, std::uint64_t* values, Block* block,
                  std::int64_t* extents, bool by_python) noexcept {
  const auto fail = [&](Question question, int code) { return ask_python()(table.number, question, key, values, code); };
  if (block) {
    if (const int code = allocate_block(block, table.pool, entry.bytes)) {
      values[output] = entry.bytes;
      return fail(no_memory, code);
    }
    values[output] = block->pointer;
    std::copy(entry.extents.begin(), entry.extents.end(), extents);
  } else {
    by_python = by_python || partly_overlaps(entry, values);
  }
  if (by_python || entry.by_python) return fail(do_call, 0);
  Block aside{table.pool, 0, 0};
  if (entry.scratch_bytes) {
    if (const int code = allocate_block_by(pool_allocate_scratch, &aside, table.pool, entry.scratch_bytes)) {
      values[output] = entry.scratch_bytes;
      return fail(no_memory, code);
    }
    values[scratch] = aside.pointer;
  }
  const Driver& d = driver();
  void* const stream = d.current_stream ? d.current_stream() : nullptr;
  int code = 0;
  for (std::size_t k = 0; k < entry.steps.size() && !code; ++k) {
    code = launch(entry.steps[k], values, stream);
    if (gave_context(code)) code = launch(entry.steps[k], values, stream);
  }
  if (aside.pointer) pool_free_scratch(aside.pool, aside.pointer, aside.bytes);
  if (!code) return 0;
  note_error(code);
  return fail(not_launched, code);
}

// The operation of a table. With `block` the result is a new array, whose memory this will be and whose shape and
// strides are written to `extents`; else values[output] is where it goes. `by_python`: a scalar is no value of the
// dtype, and Python knows what that means. Not 0 if there is an exception for FailedOperation to raise.
inline int run_operation(Table* table, const std::int64_t* key, std::uint64_t* values, Block* block,
                         std::int64_t* extents, int by_python) noexcept {
  if (block) *block = {table->pool, 0, 0};
  values[nothing] = values[scratch] = 0;
  for (;;) {
    table->readers.fetch_add(1);
    const Entry* entry = table->find(key);
    const int failed = entry ? follow(*table, *entry, key, values, block, extents, by_python != 0) : 0;
    table->readers.fetch_sub(1);
    if (entry) return failed;
    if (ask_python()(table->number, find_call, key, values, 0)) return 1;
  }
}

}  // namespace ca::native
