"""Databases as the original NestJS/TypeORM service left them."""

from __future__ import annotations

from typing import Final

ALICE: Final = "0b8f3a52-6a2e-4a55-9d3c-1f1d6c1f7a01"
BOB: Final = "5c0f6d1e-2f0b-4b7e-8d59-30d5b0a1c902"
AVATAR: Final = "f3c3a1de-93c6-4b26-8b0e-6a63d94c9b11"
FABRIC: Final = "9a4f2b68-0a5d-4f0e-b7a1-52a4f2d3c021"

USERS: Final = f"""
CREATE SCHEMA shared;
CREATE TABLE public.migrations (id serial PRIMARY KEY, "timestamp" bigint NOT NULL, name varchar NOT NULL);
INSERT INTO public.migrations ("timestamp", name) VALUES (1699000000000, 'InitialSchema1699000000000');
CREATE FUNCTION public.uuid_generate_v4() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';
CREATE TYPE shared.users_role_enum AS ENUM ('user', 'premium', 'brand', 'admin');
CREATE TABLE shared.users (
    id uuid NOT NULL DEFAULT public.uuid_generate_v4(),
    email character varying NOT NULL,
    password_hash character varying(255) NOT NULL,
    role shared.users_role_enum NOT NULL DEFAULT 'user',
    is_active boolean DEFAULT true,
    "lastLogin" timestamp without time zone,
    created_at timestamp without time zone NOT NULL DEFAULT now(),
    updated_at timestamp(6) with time zone DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "PK_a3ffb1c0c8416b9fc6f907b7433" PRIMARY KEY (id),
    CONSTRAINT "UQ_97672ac88f789774dd47f7c8be3" UNIQUE (email)
);
CREATE INDEX "IDX_ace513fa30d485cfd25c11a9e4" ON shared.users (role);
CREATE INDEX idx_users_email ON shared.users (email);
CREATE TABLE shared.sessions (id serial PRIMARY KEY, user_id uuid REFERENCES shared.users (id));
INSERT INTO shared.users (id, email, password_hash, role, is_active, created_at, updated_at) VALUES
    ('{ALICE}', 'Alice@example.com', '$2b$10$alice', 'admin', true, '2024-03-01 12:00:00', '2024-03-02 12:00:00+00'),
    ('{BOB}', 'bob@example.com', '$2b$10$bob', 'user', NULL, '2024-04-01 08:30:00', NULL);
"""
"""Case-sensitive unique emails, an enum, nullable flags, timestamps of both kinds, and tables of its own."""

REST: Final = f"""
CREATE SCHEMA avatar;
CREATE TYPE avatar.avatars_gender_enum AS ENUM ('male', 'female', 'unisex');
CREATE TABLE avatar.avatars (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL,
    name character varying(255) NOT NULL DEFAULT '',
    gender avatar.avatars_gender_enum,
    measurements json,
    model_url character varying(500),
    thumbnail_url character varying(500),
    is_default boolean NOT NULL DEFAULT false,
    created_at timestamp without time zone NOT NULL DEFAULT now(),
    updated_at timestamp without time zone NOT NULL DEFAULT now(),
    deleted_at timestamp without time zone,
    CONSTRAINT "PK_224de7bae2014a1557cd9930ed7" PRIMARY KEY (id),
    CONSTRAINT "FK_b4c4a2b7e0a1d2ff8d3a1d3c0aa" FOREIGN KEY (user_id) REFERENCES shared.users (id)
        ON DELETE NO ACTION ON UPDATE NO ACTION
);
INSERT INTO avatar.avatars (id, user_id, name, gender, measurements, is_default)
    VALUES ('{AVATAR}', '{ALICE}', 'Me', 'female', '{{"height": 172.5, "shoulderWidth": 41}}', true);
CREATE SCHEMA catalog;
CREATE TABLE catalog.catalog_items (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    name character varying(255) NOT NULL,
    description text,
    type character varying(50) NOT NULL,
    category character varying(50),
    properties jsonb,
    asset_url text,
    thumbnail_url text,
    is_premium boolean NOT NULL DEFAULT false,
    is_active boolean NOT NULL DEFAULT true,
    price numeric(10,2),
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    updated_at timestamp with time zone NOT NULL DEFAULT now(),
    created_by uuid,
    CONSTRAINT "PK_6ebc2e2a1b3d5f5ddf5dc0bb2a1" PRIMARY KEY (id),
    CONSTRAINT "FK_c0ffee00000000000000000000a" FOREIGN KEY (created_by) REFERENCES shared.users (id)
        ON DELETE SET NULL ON UPDATE NO ACTION
);
INSERT INTO catalog.catalog_items (id, name, type, category, properties, price, created_by)
    VALUES ('{FABRIC}', 'Linen', 'fabric', NULL, '{{"material": "linen", "tags": ["summer"]}}', 1250.00, '{BOB}');
"""
"""Avatars and catalog items, without the columns and rules that came later."""
