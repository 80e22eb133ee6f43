// The names of a class's data members, from the interpreter's own dictionary: C++ itself cannot tell them.
#pragma once
#include <string>

#include "TBaseClass.h"
#include "TClass.h"
#include "TDataMember.h"
#include "TList.h"

namespace ca::host {

// A line for each member that objects have, those of base classes first: "public" or "hidden" and its name. Empty for
// what is no class.
inline std::string member_names(const char* name) {
  using namespace CppyyLegacy;
  TClass* found = TClass::GetClass(name);
  std::string result;
  if (!found) return result;
  for (auto* base : *found->GetListOfBases()) result += member_names(base->GetName());
  for (auto* object : *found->GetListOfDataMembers()) {
    auto* member = static_cast<TDataMember*>(object);
    if (member->Property() & kIsStatic) continue;
    result += std::string(member->Property() & kIsPublic ? "public " : "hidden ") + member->GetName() + "\n";
  }
  return result;
}

}  // namespace ca::host
