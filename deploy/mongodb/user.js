// Run by the MongoDB image, once, on an empty volume: the API's user, which owns its database and nothing else.
// `dbAdmin` is for the collection's validator.
db.getSiblingDB("fashion_wallet").createUser({
  user: "fashion_wallet",
  pwd: process.env.MONGODB_PASSWORD,
  roles: ["readWrite", "dbAdmin"],
});
